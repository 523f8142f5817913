"""Keeps all of a long track in little room, so that it is known by the whole and not by a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.audio.fingerprint import ANALYSIS_RATE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Overview:
    """Takes a track block by block and keeps it mono, at the rate that fingerprints look at.

    An hour is 72 MB. Two copies of a recording of which other stretches are kept are still one
    recording, which must not lie in training and validation at once.
    """

    def __init__(self, sample_rate: int) -> None:
        import soxr

        # As `fingerprint` would resample it.
        self._stream = soxr.ResampleStream(
            sample_rate, ANALYSIS_RATE, 1, dtype="float32", quality="LQ"
        )
        self._parts: list[npt.NDArray[np.float32]] = []

    def take(self, block: npt.NDArray[np.float32]) -> None:
        """Take (samples, channels)."""
        self._parts.append(self._stream.resample_chunk(block.mean(axis=1, dtype=block.dtype)))

    def samples(self) -> npt.NDArray[np.float32]:
        """Give (1, samples) of all that was taken; nothing can be taken after that."""
        import numpy as np

        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return np.concatenate([*self._parts, rest])[None]
