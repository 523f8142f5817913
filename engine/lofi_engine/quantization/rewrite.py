"""Store a graph's weights in other forms: one file in, another file out, nothing in place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.quantization.balance import find_input_scales
from lofi_engine.quantization.forms import Form, Heard, store
from lofi_engine.quantization.methods import CALIBRATED

if TYPE_CHECKING:
    import onnx_ir as ir

    from lofi_engine.calibration.grams import Grams

CONTRIB = "com.microsoft"


def load_graph(path: Path, *, matrices: bool) -> ir.Model:
    """Load the graph at `path`, its external weights mapped.

    Args:
        path: the `.onnx` file.
        matrices: whether convolutions of kernel 1 become matrix products, to be quantized.
    """
    import onnx_ir as ir

    from lofi_engine.quantization.pointwise import convolutions_to_matmuls

    model = ir.load(path)
    if matrices:
        convolutions_to_matmuls(model.graph)
    return model


def rewrite_graph(
    source: Path,
    target: Path,
    forms: Mapping[str, Form],
    *,
    matrices: bool = False,
    grams: Grams | None = None,
) -> dict[str, list[str]]:
    """Write the graph at `source` to `target` with its weights stored in `forms`, by name.

    External weights are mapped, not read whole, and written to a file of the same name beside
    `target`. The result is checked and has the same bytes every time.

    Args:
        source: the float32 graph.
        target: another path.
        forms: how to store which weight; the others stay as they are.
        matrices: as for `load_graph`, which gave the names in `forms`.
        grams: what calibration knows of the graph's activations, for the forms that need it.

    Returns:
        The weights that stayed float32 although float16 was asked, by reason ("vector", "small",
        "overflow").

    Raises:
        StageError: source and target are one file, a weight is not finite, or the result is not
            valid ONNX.
    """
    from lofi_engine.onnx_graphs.export import check_graph, save_graph
    from lofi_engine.onnx_graphs.strip import strip
    from lofi_engine.onnx_graphs.tensors import let_go

    if target.resolve() == source.resolve():
        raise StageError(f"{source}: a graph is never rewritten in place")
    model = load_graph(source, matrices=matrices)
    external = external_weights(model)
    kept: dict[str, list[str]] = defaultdict(list)
    scales = find_input_scales(model.graph, forms, grams) if grams else {}
    for name, form in forms.items():
        value = model.graph.initializers[name]
        _check_finite(source, value)
        heard = None
        if grams is not None and form.method in CALIBRATED:
            heard = Heard(grams.of(name), scales.get(name))
        reason = store(model.graph, value, form, heard)
        let_go(value)
        if reason:
            kept[reason].append(name)
    if any(node.domain == CONTRIB for node in model.graph):
        model.opset_imports[CONTRIB] = 1
    strip(model)
    save_graph(model, target, external_weights=external)
    check_graph(target)
    return dict(kept)


def _check_finite(source: Path, value: ir.Value) -> None:
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of

    array = array_of(value)
    # A sum is not finite if one of its terms is not; only then it is worth a mask of that size.
    if not np.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise StageError(
            f"{source.name}: weight '{value.name}' has {count} values that are not finite",
            hint="the training or the base it came from is broken; nothing was written",
        )


def external_weights(model: ir.Model) -> str | None:
    """Give the name of the file the model's weights lie in, or None where they lie inside."""
    import onnx_ir as ir

    for value in model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            return str(value.const_value.location)
    return None
