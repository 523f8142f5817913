"""Write one torch module as a float32 ONNX graph that is proven equal to it.

The same module gives the same bytes every time, and no byte tells where it was made. torch's own
exporter does the work; what it leaves behind is normalised, stripped, checked and compared.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file
from lofi_engine.onnx_graphs.normalize import restore_names, split_gemms
from lofi_engine.onnx_graphs.parity import Parity, check_parity
from lofi_engine.onnx_graphs.sessions import GraphSession, TensorInfo
from lofi_engine.onnx_graphs.sizes import traceable_size, with_sizes
from lofi_engine.onnx_graphs.strip import strip

if TYPE_CHECKING:
    import onnx_ir as ir

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
        inputs: the graph's inputs, in order.
        outputs: the graph's outputs, in order.
        opset: the ONNX operator set.
        parity: the comparison with torch, per output and set of sizes.
    """

    file: str
    sha256: str
    size_bytes: int
    weights: FileRecord | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    opset: int
    parity: tuple[Parity, ...]


def export_graph(spec: GraphSpec, folder: Path, *, opset: int = OPSET) -> GraphRecord:
    """Export `spec.module` to `folder / spec.file` and prove it.

    Free axes may be of any size in the example; one of size 1 is traced at 2, as the exporter
    would take it for a constant.

    Raises:
        StageError: the exporter refuses the module, or the graph differs from it.
    """
    model = _trace(spec, opset)
    split_gemms(model)
    restore_names(model, spec.module)
    strip(model)
    path = folder / spec.file
    save_graph(model, path, external_weights=spec.external_weights)
    check_graph(path)
    session = GraphSession(path)
    _check_interface(spec, session)
    weights = folder / spec.external_weights if spec.external_weights else None
    return GraphRecord(
        **vars(describe_file(path)),
        weights=describe_file(weights) if weights else None,
        inputs=session.inputs,
        outputs=session.outputs,
        opset=opset,
        parity=check_parity(spec, session),
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

    inputs = with_sizes(spec.inputs, spec.dynamic, traceable_size)
    shapes = tuple(dict(spec.dynamic.get(name, {})) for name in inputs)
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                spec.module.eval(),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=opset,
                input_names=list(inputs),
                output_names=list(spec.outputs),
                dynamic_shapes=shapes,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error).split())
        raise StageError(f"{spec.file}: torch cannot export the module: {reason[:300]}") from error
    if program is None:
        raise StageError(f"{spec.file}: torch exported nothing")
    return program.model


def _check_interface(spec: GraphSpec, session: GraphSession) -> None:
    names = [value.name for value in session.inputs]
    if names != list(spec.inputs) or list(session.output_names) != list(spec.outputs):
        raise StageError(
            f"{spec.file}: the graph takes {', '.join(names)} and gives "
            f"{', '.join(session.output_names)}; the bundle's contract is "
            f"{', '.join(spec.inputs)} to {', '.join(spec.outputs)}"
        )


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
