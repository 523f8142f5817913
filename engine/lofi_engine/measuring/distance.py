"""Distance of a variant's final latents from float32's, at equal prompts and noise."""

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

    difference = found.astype(np.float64) - reference
    return float(np.sqrt(np.mean(difference**2)) / np.std(reference.astype(np.float64)))


def summarise(distances: Sequence[float]) -> dict[str, Any]:
    """Give mean and maximum over the probes, and each probe's own, to six digits."""
    return {
        "mean": _rounded(sum(distances) / len(distances)),
        "max": _rounded(max(distances)),
        "each": [_rounded(distance) for distance in distances],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
