"""Brings clips of several sample rates and channel counts to one form, always the lesser one.

Nothing is ever resampled upwards and no channel is made up: what one set lacks, the other loses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PLACES = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, order=True)
class Form:
    """What samples are kept in.

    Args:
        sample_rate: in Hz.
        channels: 1 or 2.
    """

    sample_rate: int
    channels: int

    def __str__(self) -> str:
        """Say it as people do: "48000 Hz stereo"."""
        return f"{self.sample_rate} Hz {_PLACES.get(self.channels, f'{self.channels} channels')}"


def least_form(forms: Iterable[Form]) -> Form:
    """Give the lowest sample rate with the fewest channels, of all of them.

    Raises:
        ValueError: there are none.
    """
    found = tuple(forms)
    return Form(min(one.sample_rate for one in found), min(one.channels for one in found))


def to_form(
    samples: npt.NDArray[np.float32], sample_rate: int, form: Form
) -> npt.NDArray[np.float32]:
    """Fold and resample one clip.

    Args:
        samples: float32 (channels, samples).
        sample_rate: of the samples, in Hz.
        form: what is wanted; two channels become one by their mean.

    Returns:
        float32 (channels, samples); `samples` itself where nothing is to be done.

    Raises:
        ValueError: one channel cannot become two.
    """
    import numpy as np

    from lofi_runtime.pipeline.resample import resample

    if form.channels > len(samples):
        raise ValueError(f"{len(samples)} channel(s) cannot become {form.channels}")
    if form.channels < len(samples):
        samples = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    return resample(samples, sample_rate, form.sample_rate)
