"""Cut a decoder in two: what hangs on the context alone, and what every step computes.

A track's context is the same at every step, and so are the keys and values that each layer's
cross-attention makes of it. `transformer_context.onnx` computes them once;
`transformer_decoder_step.onnx` takes them and computes the rest. Both name their weights by offset
in the decoder's own weights file, so a cut costs the bytes of two small graphs.

The cut follows what hangs on what, never names, so it serves float32, float16, int8 and int4
decoders alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.dependence import axis_sizes
from lofi_engine.onnx_graphs.halves import (
    CONTEXT_INPUTS,
    Crossing,
    Sizes,
    crossing_values,
    keep_context,
    keep_step,
)
from lofi_runtime.bundle import OPTIONAL_GRAPHS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

CONTEXT_FILE, STEP_FILE = OPTIONAL_GRAPHS

_PROJECTION = re.compile(r"(?:^|\.)(\d+)\.(?:.*\.)?to_([kv])\.")
_ROLES = {"k": "key", "v": "value"}

Role = tuple[int, str]
"""Layer and "key" or "value"."""


def split_context(decoder: Path) -> tuple[Path, Path]:
    """Write the decoder at `decoder` as two graphs beside it; the decoder itself is not touched.

    The first takes the context and its mask and gives `cross_key_0`, `cross_value_0`,
    `cross_key_1`, ... and `context_bias`. The second takes the decoder's other inputs, then those,
    then the decoder's optional inputs, and gives what the decoder gives. Same decoder, same bytes.

    Returns:
        The paths of `transformer_context.onnx` and `transformer_decoder_step.onnx`.

    Raises:
        StageError: the graph takes no context, nothing in it hangs on the context alone, or the
            two cannot be told apart.
    """
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.export import check_graph
    from lofi_engine.onnx_graphs.strip import strip

    crossings = tuple(_crossings(decoder))
    paths = decoder.with_name(CONTEXT_FILE), decoder.with_name(STEP_FILE)
    for path, keep in zip(paths, (keep_context, keep_step), strict=True):
        model = ir.load(decoder)
        try:
            keep(model.graph, crossings)
        except StageError as error:
            raise StageError(f"{decoder.name}: {error}") from error
        strip(model)
        ir.save(model, path)  # what lies in the weights file stays there and is referred to
        check_graph(path)
    return paths


def run_halves(decoder: Path, inputs: Mapping[str, Any]) -> dict[str, npt.NDArray[np.generic]]:
    """Run the two graphs beside `decoder` one after the other on the whole decoder's `inputs`.

    Raises:
        StageError: one of them does not load, or fails on these inputs.
    """
    from lofi_engine.onnx_graphs.sessions import GraphSession

    context = {name: inputs[name] for name in CONTEXT_INPUTS}
    given = GraphSession(decoder.with_name(CONTEXT_FILE)).run(context)
    rest = {name: array for name, array in inputs.items() if name not in CONTEXT_INPUTS}
    return GraphSession(decoder.with_name(STEP_FILE)).run({**rest, **given})


def _crossings(decoder: Path) -> Iterator[Crossing]:
    """List what crosses: keys and values by layer, then the bias, then whatever else there is."""
    import onnx_ir as ir

    graph = ir.load(decoder).graph
    inputs = {value.name for value in graph.inputs}
    for name in CONTEXT_INPUTS:
        if name not in inputs:
            raise StageError(f"{decoder.name}: has no input {name}, so no context to cut off")
    found = [(_roles_behind(value), value) for value in crossing_values(graph)]
    if not found:
        raise StageError(f"{decoder.name}: nothing in it hangs on the context alone")
    types = _inferred_types(decoder)
    taken: set[str] = set()
    for number, (roles, value) in enumerate(sorted(found, key=_rank)):
        name = _crossing_name(roles)
        name = f"context_value_{number}" if name in taken else name
        taken.add(name)
        dtype, sizes = value.dtype, axis_sizes(value)
        if value.name in types and (dtype is None or not sizes or "" in sizes):
            dtype, sizes = types[value.name]
        if dtype is None:
            raise StageError(f"{decoder.name}: the type of '{value.name}' is not known")
        yield Crossing(value.name or "", name, dtype, sizes)


def _rank(found: tuple[frozenset[Role], ir.Value]) -> tuple[bool, list[Role]]:
    roles, _ = found
    return not roles, sorted(roles)


def _crossing_name(roles: frozenset[Role]) -> str:
    if not roles:
        return "context_bias"
    layer, role = min(roles)
    return f"cross_{role}_{layer}"


def _roles_behind(value: ir.Value) -> frozenset[Role]:
    """Give the layer and role of every projection that `value` is made with."""
    waiting, seen = [value], {value}
    roles: set[Role] = set()
    while waiting:
        made = waiting.pop()
        match = _PROJECTION.search(made.name or "") if made.const_value is not None else None
        if match:
            roles.add((int(match[1]), _ROLES[match[2]]))
        producer = made.producer()
        for before in producer.inputs if producer else ():
            if before is not None and before not in seen:
                seen.add(before)
                waiting.append(before)
    return frozenset(roles)


def _inferred_types(decoder: Path) -> dict[str, tuple[ir.DataType, Sizes]]:
    """Let ONNX work out the element types and shapes that the graph leaves open, by value."""
    import onnx
    import onnx_ir as ir

    known = onnx.load(decoder, load_external_data=False)
    free = {size.dim_param for value in known.graph.input for size in _dims(value)} - {""}

    def size_of(size: Any) -> int | str:
        if size.HasField("dim_value"):
            return int(size.dim_value)
        return str(size.dim_param) if size.dim_param in free else ""

    inferred = onnx.shape_inference.infer_shapes(known, data_prop=True).graph.value_info
    return {
        value.name: (
            ir.DataType(value.type.tensor_type.elem_type),
            tuple(map(size_of, _dims(value))),
        )
        for value in inferred
    }


def _dims(value: Any) -> Any:
    return value.type.tensor_type.shape.dim
