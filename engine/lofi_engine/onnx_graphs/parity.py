"""Compare a graph with the torch module it came from.

First torch says what is expected, then, with torch's weights gone, the graph is compared: the
weights of both never lie in memory at once. A difference is measured in units of the expected
output's own standard deviation, so that one tolerance serves latents, mel and waveforms. A failing
comparison is an error, never a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.sizes import axis_sizes, proof_sizes, resize

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from lofi_engine.models.family import GraphSpec

    Arrays = Mapping[str, npt.NDArray[np.generic]]

TOLERANCE = 1e-3
"""The largest allowed difference, over the output's standard deviation."""

_FIRST_LEFT_OUT = 3
"""From this one of the sets of sizes on, what may be left out is."""


@dataclass(frozen=True)
class Case:
    """What a graph is given and what it must give.

    Args:
        sizes: the size of every free axis of what is given, by name.
        left_out: the optional inputs that are not given.
        inputs: what is given, by name.
        expected: what torch gives, by output name.
    """

    sizes: Mapping[str, int]
    left_out: tuple[str, ...]
    inputs: Arrays
    expected: Arrays


@dataclass(frozen=True)
class Parity:
    """How far one output of a graph is from torch's, at one set of sizes.

    Args:
        output: the output's name.
        sizes: the size of every free axis of the inputs, by name.
        left_out: the optional inputs that were not given.
        max_difference: the largest absolute difference.
        relative_difference: the same over the torch output's standard deviation; over 1 where the
            output is constant.
    """

    output: str
    sizes: Mapping[str, int]
    left_out: tuple[str, ...]
    max_difference: float
    relative_difference: float


def expected_cases(spec: GraphSpec) -> tuple[Case, ...]:
    """Run `spec.module` at every set of sizes, with its optional inputs and without.

    Raises:
        StageError: the module gives another number of outputs than are named.
    """
    cases: list[Case] = []
    for number, sizes in enumerate(proof_sizes(axis_sizes(spec.inputs, spec.dynamic))):
        left_out = tuple(spec.defaults) if number >= _FIRST_LEFT_OUT else ()
        inputs = resize(spec.inputs, spec.dynamic, sizes)
        given = {name: tensor for name, tensor in inputs.items() if name not in left_out}
        free = {name: axes for name, axes in spec.dynamic.items() if name in given}
        own = axis_sizes(given, free)
        if any(case.sizes == own and case.left_out == left_out for case in cases):
            continue
        expected = _run_torch(spec, inputs | {name: spec.defaults[name] for name in left_out})
        arrays = {name: tensor.numpy() for name, tensor in given.items()}
        cases.append(Case(own, left_out, arrays, expected))
    return tuple(cases)


def check_cases(
    file: str,
    cases: Iterable[Case],
    run: Callable[[Arrays], Arrays],
    *,
    tolerance: float = TOLERANCE,
) -> tuple[Parity, ...]:
    """Compare what `run` gives with what is expected, for every output that is expected.

    Args:
        file: the graph's name, for errors.
        cases: what to give and what to expect.
        run: takes a case's inputs by name and gives outputs by name.
        tolerance: the largest allowed difference.

    Raises:
        StageError: an output is missing, of another shape, not finite, or further away than
            `tolerance`.
    """
    results: list[Parity] = []
    for case in cases:
        found = run(case.inputs)
        for name, expected in case.expected.items():
            where = f"{file}: output '{name}' at {_words(case)}"
            if name not in found:
                raise StageError(f"{where} is missing")
            results.append(_compare(name, case, expected, found[name], where))
            if not results[-1].relative_difference <= tolerance:
                raise StageError(
                    f"{where} is {results[-1].relative_difference:.3g} standard deviations from "
                    f"torch, more than {tolerance:g}",
                    hint="the exported graph computes something else; nothing was kept",
                )
    return tuple(results)


def _run_torch(
    spec: GraphSpec, inputs: Mapping[str, torch.Tensor]
) -> dict[str, npt.NDArray[np.generic]]:
    import torch

    with torch.no_grad():
        outputs = spec.module(*inputs.values())
    if isinstance(outputs, torch.Tensor):
        outputs = (outputs,)
    arrays = tuple(output.numpy() for output in outputs)
    if len(arrays) != len(spec.outputs):
        raise StageError(
            f"{spec.file}: the module gives {len(arrays)} outputs, {len(spec.outputs)} are named"
        )
    return dict(zip(spec.outputs, arrays, strict=True))


def _compare(
    name: str,
    case: Case,
    expected: npt.NDArray[np.generic],
    found: npt.NDArray[np.generic],
    where: str,
) -> Parity:
    import numpy as np

    if expected.shape != found.shape:
        raise StageError(f"{where} has shape {found.shape}, torch gives {expected.shape}")
    wanted, got = expected.astype(np.float64), found.astype(np.float64)
    if not (np.isfinite(wanted).all() and np.isfinite(got).all()):
        raise StageError(f"{where} is not finite", hint="look for masked frames and overflow")
    difference = float(np.abs(wanted - got).max(initial=0.0))
    deviation = float(wanted.std()) if wanted.size else 0.0
    relative = difference / deviation if deviation else difference
    return Parity(name, case.sizes, case.left_out, difference, relative)


def _words(case: Case) -> str:
    sizes = ", ".join(f"{name} {size}" for name, size in case.sizes.items()) or "its only size"
    return f"{sizes} without {', '.join(case.left_out)}" if case.left_out else sizes
