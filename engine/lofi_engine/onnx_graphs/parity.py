"""Compare a graph with the torch module it came from.

A difference is measured in units of the torch output's own standard deviation, so that one
tolerance serves latents, mel and waveforms. A failing comparison is an error, never a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.sizes import axis_sizes, second_size, with_sizes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from lofi_engine.models.family import GraphSpec
    from lofi_engine.onnx_graphs.sessions import GraphSession

TOLERANCE = 1e-3
"""The largest allowed difference, over the output's standard deviation."""


@dataclass(frozen=True)
class Parity:
    """How far one output of a graph is from torch's, at one set of sizes.

    Args:
        output: the output's name.
        sizes: the size of every free axis, by name.
        max_difference: the largest absolute difference.
        relative_difference: the same over the torch output's standard deviation; over 1 where the
            output is constant.
    """

    output: str
    sizes: Mapping[str, int]
    max_difference: float
    relative_difference: float


def check_parity(
    spec: GraphSpec, session: GraphSession, *, tolerance: float = TOLERANCE
) -> tuple[Parity, ...]:
    """Compare `session` with `spec.module` on the example and at a second size of every free axis.

    Raises:
        StageError: an output is missing, of another shape, not finite, or further away than
            `tolerance`.
    """
    results: list[Parity] = []
    for inputs in (dict(spec.inputs), with_sizes(spec.inputs, spec.dynamic, second_size)):
        sizes = axis_sizes(inputs, spec.dynamic)
        expected = _run_torch(spec, inputs)
        found = session.run({name: tensor.numpy() for name, tensor in inputs.items()})
        for name in spec.outputs:
            where = f"{spec.file}: output '{name}' at {_words(sizes)}"
            results.append(_compare(name, sizes, expected[name], found[name], where))
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
    sizes: Mapping[str, int],
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
    return Parity(
        name, dict(sizes), difference, difference / deviation if deviation else difference
    )


def _words(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size}" for name, size in sizes.items()) or "its only size"
