"""Brings clips of several sample rates and channel counts to one format, always the lesser one.

Nothing is ever resampled upwards and no channel is made up: what one set lacks, the other loses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lofi_engine.metrics.checks import SoundFormat

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def least_format(formats: Iterable[SoundFormat]) -> SoundFormat:
    """Give the lowest sample rate with the fewest channels, of all of them.

    Raises:
        ValueError: there are none.
    """
    found = tuple(formats)
    return SoundFormat(min(one.sample_rate for one in found), min(one.channels for one in found))


def to_format(
    samples: npt.NDArray[np.float32], sample_rate: int, wanted: SoundFormat
) -> npt.NDArray[np.float32]:
    """Fold and resample one clip.

    Args:
        samples: float32 (channels, samples).
        sample_rate: of the samples, in Hz.
        wanted: the format; two channels become one by their mean.

    Returns:
        float32 (channels, samples); `samples` itself where nothing is to be done.

    Raises:
        ValueError: one channel cannot become two.
    """
    import numpy as np

    from lofi_runtime.pipeline.resample import resample

    if wanted.channels > len(samples):
        raise ValueError(f"{len(samples)} channel(s) cannot become {wanted.channels}")
    if wanted.channels < len(samples):
        samples = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    return resample(samples, sample_rate, wanted.sample_rate)
