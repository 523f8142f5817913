"""How far latents are from those of the pair: their angle, and their signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.figures import HIGHER
from lofi_engine.metrics.paired import Held, PairedMetric
from lofi_engine.metrics.protocol import Needs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Latents = npt.NDArray[np.float32]

MOST_SNR_DB = 150.0
"""What latents with no or hardly any difference get: float32's own rounding is at some -150 dB."""

COSINES, SNRS_DB = (-1.0, 1.0), (-math.inf, MOST_SNR_DB)
"""The least and the most that a pair can have."""

_NEEDS = Needs(reference=True, pairs=True, latents=True)


def latent_cosine(found: Latents, reference: Latents) -> float:
    """Give the cosine of the angle between two latents, all their values as one vector.

    1 for the same direction whatever the size, 0 for unrelated ones, -1 for the opposite.

    Args:
        found: (channels, height, frames), not all zero.
        reference: of the same shape, not all zero.
    """
    import numpy as np

    one, other = _unit(found), _unit(reference)
    # 1 - |a - b|^2 / 2 keeps the digits that a . b loses where both are nearly the same.
    return float(max(-1.0, 1.0 - 0.5 * np.square(one - other).sum()))


def latent_snr_db(found: Latents, reference: Latents) -> float:
    """Give how far the difference lies under the reference, in dB.

    10 log10(sum(reference^2) / sum((found - reference)^2)), at most `MOST_SNR_DB`. 0 dB where
    the difference is as strong as the reference, as it is for latents of zeros.

    Args:
        found: (channels, height, frames).
        reference: of the same shape, not all zero.
    """
    import numpy as np

    wide = reference.astype(np.float64)
    signal = float(np.square(wide).sum())
    noise = float(np.square(found.astype(np.float64) - wide).sum())
    if noise <= signal * 10.0 ** (-MOST_SNR_DB / 10.0):
        return MOST_SNR_DB
    return float(10.0 * np.log10(signal / noise))


class _LatentMetric(PairedMetric):
    """Reads the latents instead of the sound, which may be missing or broken here."""

    needs = _NEEDS
    better = HIGHER

    def read(self, judged: ClipSet, against: ClipSet, name: str) -> tuple[Clip, Clip]:
        """Read a pair of latents.

        Raises:
            MetricError: there are none, they differ in shape, are all zero or not finite.
        """
        pair = judged.clip(name), against.clip(name)
        found = _checked(pair[0], f"{judged.label}: {name}")
        reference = _checked(pair[1], f"{against.label}: {name}")
        if found.shape != reference.shape:
            raise MetricError(
                f"{judged.label}: {name}: latents of shape {_shape(found)}, "
                f"but {_shape(reference)} in {against.label}",
                hint="generate both sets with the same length and model",
            )
        return pair


class LatentCosine(_LatentMetric):
    """Cosine of the latents with those of the pair, from -1 to 1; blind to their size."""

    name = "latent-cosine"
    title = "cosine of every clip's latents with its pair's, 1 is the same; higher is better"
    span = COSINES

    def hold(self, found: Clip, reference: Clip, label: str) -> Held:
        """Measure one pair."""
        return Held(latent_cosine(_checked(found, label), _checked(reference, label)))


class LatentSnr(_LatentMetric):
    """Signal-to-noise ratio of the latents in dB, the pair's being the signal."""

    name = "latent-snr"
    title = "signal-to-noise ratio of every clip's latents, its pair's the signal; higher is better"
    unit = "dB"
    span = SNRS_DB

    def hold(self, found: Clip, reference: Clip, label: str) -> Held:
        """Measure one pair."""
        value = latent_snr_db(_checked(found, label), _checked(reference, label))
        return Held(value, {"share_at_most_snr": float(value == MOST_SNR_DB)})

    def settings(self) -> dict[str, float]:
        """State what identical latents are given."""
        return {"most_snr_db": MOST_SNR_DB}


def _checked(clip: Clip, where: str) -> Latents:
    import numpy as np

    if clip.latents is None:
        raise MetricError(
            f"{where}: no latents", hint=f"keep them beside the sound as {clip.name}.latents.npy"
        )
    if not np.isfinite(clip.latents).all():
        raise MetricError(f"{where}: NaN or infinity in the latents", hint="generate it again")
    if not clip.latents.any():
        raise MetricError(f"{where}: latents of zeros have no direction", hint="generate it again")
    return clip.latents


def _unit(latents: Latents) -> npt.NDArray[np.float64]:
    import numpy as np

    wide = latents.astype(np.float64).ravel()
    direction: npt.NDArray[np.float64] = wide / np.linalg.norm(wide)
    return direction


def _shape(latents: Latents) -> str:
    return " x ".join(str(size) for size in latents.shape)
