"""Cut an exported decoder in two and prove that both halves together are what torch gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.context import split_context
from lofi_engine.onnx_graphs.export import GraphRecord, Written, describe_file
from lofi_engine.onnx_graphs.halves import CONTEXT_INPUTS
from lofi_engine.onnx_graphs.parity import check_cases
from lofi_engine.onnx_graphs.sessions import GraphSession

if TYPE_CHECKING:
    from lofi_engine.onnx_graphs.parity import Arrays


def can_be_cut(written: Written) -> bool:
    """Say whether a graph takes a context that stays the same from step to step."""
    return set(CONTEXT_INPUTS) <= set(written.inputs)


def prove_halves(
    written: Written, whole: GraphRecord, folder: Path
) -> tuple[GraphRecord, GraphRecord]:
    """Cut a written decoder, run its halves one after the other, and compare with torch.

    Args:
        written: the decoder.
        whole: its record; the halves share its weights.
        folder: where it lies.

    Returns:
        The records of the context's half and of the step's, both with the parity of the pair.

    Raises:
        StageError: the decoder cannot be cut, the halves do not fit each other, or they differ
            from torch.
    """
    paths = split_context(folder / written.file)
    context, step = (GraphSession(path, sparing=True) for path in paths)
    _check_halves(written, context, step)

    def run(inputs: Arrays) -> Arrays:
        kept = context.run({value.name: inputs[value.name] for value in context.inputs})
        given = {name: array for name, array in inputs.items() if name not in CONTEXT_INPUTS}
        return step.run(given | kept)

    parity = check_cases(f"{context.path.name} and {step.path.name}", written.cases, run)
    first, second = (
        GraphRecord(
            **vars(describe_file(half.path)),
            weights=whole.weights,
            inputs=half.inputs,
            optional_inputs=written.optional_inputs if half is step else (),
            outputs=half.outputs,
            opset=written.opset,
            parity=parity,
        )
        for half in (context, step)
    )
    return first, second


def _check_halves(written: Written, context: GraphSession, step: GraphSession) -> None:
    own = [name for name in written.inputs if name not in CONTEXT_INPUTS]
    wanted = (
        list(CONTEXT_INPUTS),
        [*own, *context.output_names],
        sorted(value.name for value in written.optional_inputs),
        list(written.outputs),
    )
    found = (
        [value.name for value in context.inputs],
        [value.name for value in step.inputs],
        sorted(value.name for value in step.optional_inputs),
        list(step.output_names),
    )
    if found != wanted:
        raise StageError(
            f"{context.path.name} and {step.path.name} take and give {found}, {wanted} was wanted",
            hint="the halves do not fit each other; nothing was kept",
        )
