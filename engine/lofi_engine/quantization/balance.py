"""One input scale for all matrices of an activation, found before any of them is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lofi_engine.quantization.forms import Form

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

    from lofi_engine.calibration.grams import Grams


def find_input_scales(
    graph: ir.Graph, forms: Mapping[str, Form], grams: Grams
) -> dict[str, npt.NDArray[np.float32]]:
    """Give by weight what awq divides its activation by; weights that gain nothing are left out.

    Args:
        graph: float32, unchanged.
        forms: how each weight is to be stored; those that are not awq's are not asked.
        grams: of the graph's activations.
    """
    found: dict[str, npt.NDArray[np.float32]] = {}
    done: set[str] = set()
    for name, form in forms.items():
        if form.method != "awq" or name in done:
            continue
        together = [other for other in grams.sharing(name) if forms.get(other) == form]
        done.update(together)
        scale = _scale_of(graph, together, form, grams)
        if (scale != 1.0).any():
            found.update(dict.fromkeys(together, scale))
    return found


def _scale_of(
    graph: ir.Graph, names: list[str], form: Form, grams: Grams
) -> npt.NDArray[np.float32]:
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of
    from lofi_engine.quantization.awq import find_input_scale

    matrices = [
        np.ascontiguousarray(array_of(graph.initializers[name]), dtype=np.float32) for name in names
    ]
    return find_input_scale(
        matrices, grams.of(names[0]), bits=form.bits, block_size=form.block_size
    )
