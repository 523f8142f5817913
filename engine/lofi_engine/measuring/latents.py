"""How far a variant's final latents are from float32's: distance, cosine, signal to noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lofi_engine.measuring.distance import latent_distance, summarise
from lofi_engine.measuring.records import rounded
from lofi_engine.metrics.bootstrap import FEWEST_DRAWN, mean_interval
from lofi_engine.metrics.latents import COSINES, SNRS_DB, latent_cosine, latent_snr_db

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Latents = npt.NDArray[np.float32]


def latent_fault(latents: Sequence[Latents]) -> str:
    """Say what is wrong with a bundle's latents; "" where they can be compared."""
    import numpy as np

    if not all(bool(np.isfinite(one).all()) for one in latents):
        return "its latents are not finite"
    return "" if all(bool(one.any()) for one in latents) else "its latents are all zero"


def latent_quality(latents: Sequence[Latents], reference: Sequence[Latents]) -> dict[str, Any]:
    """Compare latents of equal prompts and seeds, pair by pair.

    Args:
        latents: the variant's, each (1, 8, 16, frames), without a fault.
        reference: float32's.

    Returns:
        "latent_distance", "latent_cosine" and "latent_snr" (in dB), as plain JSON values: mean, the
        worst, each pair's own, and the bootstrap interval of the mean where there are two or more.
    """
    pairs = list(zip(latents, reference, strict=True))
    distances = [latent_distance(*pair) for pair in pairs]
    return {
        "latent_distance": {**summarise(distances), **_sureness(distances, (0.0, math.inf))},
        "latent_cosine": _summary([latent_cosine(*pair) for pair in pairs], COSINES),
        "latent_snr": {"unit": "dB", **_summary([latent_snr_db(*pair) for pair in pairs], SNRS_DB)},
    }


def _summary(values: Sequence[float], span: tuple[float, float]) -> dict[str, Any]:
    """Sum up values of which more is better."""
    found = {"mean": sum(values) / len(values), "min": min(values), "each": list(values)}
    return {**rounded(found), **_sureness(values, span)}


def _sureness(values: Sequence[float], span: tuple[float, float]) -> dict[str, Any]:
    interval = mean_interval(values, span=span) if len(values) >= FEWEST_DRAWN else None
    return {
        "n": len(values),
        "counted": "pairs",
        "interval": None if interval is None else rounded(dict(vars(interval))),
    }
