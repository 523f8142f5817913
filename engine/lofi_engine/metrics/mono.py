"""Sound as those listeners hear it that have one ear: the mean of all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

FAINTEST = 1e-4
"""What no sample of a mean exceeds is nothing: -80 dBFS."""


def folded_to_mono(clip: Clip, where: str = "") -> Samples:
    """Give the mean of a clip's channels, float32 (1, samples).

    Args:
        clip: checked before (`checks.check_clip`).
        where: how an error calls the clip; by its name if not given.

    Raises:
        MetricError: the channels cancel out, so that nothing is left to hear.
    """
    import numpy as np

    mean: Samples = clip.samples.mean(axis=0, keepdims=True, dtype=np.float32)
    if len(clip.samples) > 1 and float(np.abs(mean).max()) < FAINTEST:
        raise MetricError(
            f"{where or clip.name}: its channels cancel out in mono, which is what is listened to",
            hint="leave it out, or turn one channel's phase round",
        )
    return mean


def mono_at(clip: Clip, sample_rate: int, where: str = "") -> Samples:
    """Give the mean of a clip's channels at a sample rate in Hz, float32 (samples,).

    Raises:
        MetricError: as `folded_to_mono`.
    """
    from lofi_runtime.pipeline.resample import resample

    mono: Samples = resample(folded_to_mono(clip, where), clip.sample_rate, sample_rate)[0]
    return mono
