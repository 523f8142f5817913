"""Distances between what two networks answer, in units of the reference's standard deviation.

One tolerance then serves outputs of any size. To a constant reference, which has no deviation, the
distance is the plain difference. Of what is not finite the distance is not finite either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DIGITS = 6


def latent_distance(found: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> float:
    """Give the root-mean-square difference over the reference's standard deviation."""
    import numpy as np

    return float(np.sqrt(np.mean(_in_deviations(found, reference) ** 2)))


def largest_distance(found: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> float:
    """Give the largest absolute difference over the reference's standard deviation."""
    import numpy as np

    return float(np.abs(_in_deviations(found, reference)).max())


def summarise(distances: Sequence[float]) -> dict[str, Any]:
    """Give mean and maximum over the probes, and each probe's own, to six digits."""
    return {
        "mean": _rounded(sum(distances) / len(distances)),
        "max": _rounded(max(distances)),
        "each": [_rounded(distance) for distance in distances],
    }


def _in_deviations(
    found: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    import numpy as np

    wide = reference.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities give NaN, which callers refuse
        deviation = float(np.std(wide))
        difference: npt.NDArray[np.float64] = found.astype(np.float64) - wide
        return difference if deviation == 0.0 else difference / deviation


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
