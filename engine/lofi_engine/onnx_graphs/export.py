"""Write one torch module as a float32 ONNX graph that is proven equal to it.

The same module gives the same bytes every time, and no byte tells where it was made. torch's own
exporter does the work; what it leaves behind is normalised, stripped, checked and compared.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file
from lofi_engine.onnx_graphs.normalize import split_gemms
from lofi_engine.onnx_graphs.optional import (
    OptionalInput,
    broadcast_axes,
    check_defaults,
    describe_defaults,
    give_defaults,
)
from lofi_engine.onnx_graphs.parity import Case, Parity, check_cases, expected_cases
from lofi_engine.onnx_graphs.sessions import GraphSession, TensorInfo
from lofi_engine.onnx_graphs.sizes import traceable_size, with_sizes
from lofi_engine.onnx_graphs.strip import strip

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from lofi_engine.models.family import GraphSpec

OPSET = 21


@dataclass(frozen=True)
class FileRecord:
    """A written file: its name, hash (hex) and size."""

    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class GraphRecord:
    """What was exported and how close it is to torch.

    Args:
        file: the graph's file name.
        sha256: its hash (hex).
        size_bytes: its size, without external weights.
        weights: the file with the external weights, or None.
        inputs: the inputs a caller must give, in order.
        optional_inputs: the inputs a caller may leave out, in order.
        outputs: the graph's outputs, in order.
        opset: the ONNX operator set.
        parity: the comparison with torch, per output and set of sizes.
    """

    file: str
    sha256: str
    size_bytes: int
    weights: FileRecord | None
    inputs: tuple[TensorInfo, ...]
    optional_inputs: tuple[OptionalInput, ...]
    outputs: tuple[TensorInfo, ...]
    opset: int
    parity: tuple[Parity, ...]


@dataclass(frozen=True)
class Written:
    """A graph that is written and not yet proven; it holds nothing of torch.

    Args:
        file: the graph's file name.
        weights: the name of the file with the external weights, or None.
        inputs: the names of the inputs a caller must give, in order.
        optional_inputs: the inputs a caller may leave out, in order.
        outputs: the outputs' names, in order.
        opset: the ONNX operator set.
        cases: what torch gives for which inputs.
    """

    file: str
    weights: str | None
    inputs: tuple[str, ...]
    optional_inputs: tuple[OptionalInput, ...]
    outputs: tuple[str, ...]
    opset: int
    cases: tuple[Case, ...]


def export_graph(spec: GraphSpec, folder: Path, *, opset: int = OPSET) -> GraphRecord:
    """Export `spec.module` to `folder / spec.file` and prove it: `write_graph`, `prove_graph`."""
    return prove_graph(write_graph(spec, folder, opset=opset), folder)


def write_graph(spec: GraphSpec, folder: Path, *, opset: int = OPSET) -> Written:
    """Export `spec.module` to `folder / spec.file` and note what torch answers.

    Free axes may be of any size in the example; one of size 1 is traced at 2, as the exporter
    would take it for a constant. The graph's weights are torch's own memory, written one by one.

    Raises:
        StageError: the exporter refuses the module, or the graph is not valid.
    """
    check_defaults(spec)
    model = _trace(spec, opset)
    split_gemms(model)
    give_defaults(model, spec)
    strip(model)
    path = folder / spec.file
    save_graph(model, path, external_weights=spec.external_weights)
    check_graph(path)
    _let_go(model)
    return Written(
        file=spec.file,
        weights=spec.external_weights,
        inputs=tuple(name for name in spec.inputs if name not in spec.defaults),
        optional_inputs=describe_defaults(spec),
        outputs=spec.outputs,
        opset=opset,
        cases=expected_cases(spec),
    )


def prove_graph(written: Written, folder: Path) -> GraphRecord:
    """Load a written graph, compare it with what torch gave, and record it.

    Raises:
        StageError: the graph does not load, takes or gives something else than was asked for, or
            differs from torch.
    """
    session = GraphSession(folder / written.file, sparing=True)
    _check_interface(written, session)
    return GraphRecord(
        **vars(describe_file(folder / written.file)),
        weights=describe_file(folder / written.weights) if written.weights else None,
        inputs=session.inputs,
        optional_inputs=written.optional_inputs,
        outputs=session.outputs,
        opset=written.opset,
        parity=check_cases(written.file, written.cases, session.run),
    )


def save_graph(model: ir.Model, path: Path, *, external_weights: str | None) -> None:
    """Write `model` to `path`, its weights inside, or in one file of that name beside it."""
    import onnx_ir as ir

    with _silence():
        if external_weights is None:
            ir.save(ir.external_data.load_to_model(model), path)
        else:
            ir.save(model, path, external_data=external_weights)


def check_graph(path: Path) -> None:
    """Let ONNX's own checker read the graph at `path`.

    Raises:
        StageError: the graph is not valid ONNX.
    """
    import onnx

    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise StageError(f"{path.name}: not a valid ONNX graph: {reason}") from error


def describe_file(path: Path) -> FileRecord:
    """Give name, hash and size of the file at `path`."""
    return FileRecord(path.name, hash_file(path), path.stat().st_size)


def _trace(spec: GraphSpec, opset: int) -> ir.Model:
    import torch

    from lofi_engine.onnx_graphs.matmuls import with_products

    inputs = with_sizes(spec.inputs, spec.dynamic, traceable_size)
    shapes: list[dict[int, str]] = []
    for name in inputs:
        fixed = broadcast_axes(spec, name)
        for axis in fixed:
            inputs[name] = inputs[name].narrow(axis, 0, 1)
        free = spec.dynamic.get(name, {})
        shapes.append({axis: free[axis] for axis in free if axis not in fixed})
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                with_products(spec.module.eval()),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=opset,
                input_names=list(inputs),
                output_names=list(spec.outputs),
                dynamic_shapes=_as_arguments(spec.module, shapes),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error).split())
        raise StageError(f"{spec.file}: torch cannot export the module: {reason[:300]}") from error
    if program is None:
        raise StageError(f"{spec.file}: torch exported nothing")
    return program.model


def _let_go(model: ir.Model) -> None:
    """Let go of torch's weights; the exporter's rewriting rules keep the last graph they saw."""
    for value in model.graph.initializers.values():
        value.const_value = None


def _as_arguments(module: torch.nn.Module, shapes: list[dict[int, str]]) -> tuple[Any, ...]:
    """Group what a trailing `*arguments` of the module's forward takes, as the exporter does."""
    parameters = inspect.signature(module.forward).parameters.values()
    single = sum(parameter.kind is not parameter.VAR_POSITIONAL for parameter in parameters)
    if single == len(parameters):
        return tuple(shapes)
    return (*shapes[:single], tuple(shapes[single:]))


def _check_interface(written: Written, session: GraphSession) -> None:
    found = (
        [value.name for value in session.inputs],
        sorted(value.name for value in session.optional_inputs),
        list(session.output_names),
    )
    wanted = (
        list(written.inputs),
        sorted(value.name for value in written.optional_inputs),
        list(written.outputs),
    )
    if found != wanted:
        raise StageError(
            f"{written.file}: the graph {_interface(*found)}; the bundle's contract: it "
            f"{_interface(*wanted)}"
        )


def _interface(needed: list[str], optional: list[str], outputs: list[str]) -> str:
    leave_out = f", optionally {', '.join(optional)}," if optional else ""
    return f"takes {', '.join(needed)}{leave_out} and gives {', '.join(outputs)}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's prints, warnings and log lines out of ours.

    It talks to people who debug exporters; what users must know is raised as an error.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
