"""Brings any source to what the dataset holds: 48 kHz, stereo, one peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.audio.decode import Decoded
from lofi_runtime.backend import SAMPLE_RATE as SAMPLE_RATE  # what the dataset is kept at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

_HALF_POWER = 2**-0.5
# Gains into the left channel by place; the right one mirrors them (ITU-R BS.775-3). LFE is dropped.
_PLACES = {"L": (1.0, 0.0), "R": (0.0, 1.0), "C": (_HALF_POWER, _HALF_POWER), "LFE": (0.0, 0.0)}
_PLACES |= {"Ls": (_HALF_POWER, 0.0), "Rs": (0.0, _HALF_POWER)}
_PLACES |= {"Lb": (_HALF_POWER, 0.0), "Rb": (0.0, _HALF_POWER), "Cs": (0.5, 0.5)}
_WAV_ORDER = {
    3: "L R C",
    4: "L R Ls Rs",
    5: "L R C Ls Rs",
    6: "L R C LFE Ls Rs",
    7: "L R C LFE Cs Ls Rs",
    8: "L R C LFE Lb Rb Ls Rs",
}
# Xiph's order, for Vorbis and Opus (Vorbis I specification, section 4.3.9).
_XIPH_ORDER = {
    3: "L C R",
    4: "L R Ls Rs",
    5: "L C R Ls Rs",
    6: "L C R Ls Rs LFE",
    7: "L C R Ls Rs Cs LFE",
    8: "L C R Ls Rs Lb Rb LFE",
}


def to_stereo(decoded: Decoded) -> Samples:
    """Give (2, samples): mono on both sides, surround folded down; more than 8 are averaged."""
    import numpy as np

    samples, channels = decoded.samples, decoded.channels
    if channels == 2:
        return samples
    if channels == 1:
        return np.repeat(samples, 2, axis=0)
    orders = _XIPH_ORDER if decoded.subtype in ("VORBIS", "OPUS") else _WAV_ORDER
    if channels not in orders:
        return np.repeat(samples.mean(axis=0, keepdims=True), 2, axis=0)
    gains = np.array([_PLACES[place] for place in orders[channels].split()], dtype=np.float32)
    return np.ascontiguousarray(gains.T @ samples)


def without_offset(samples: Samples) -> Samples:
    """Give (channels, samples) with each channel's mean taken out."""
    means: Samples = samples.mean(axis=1, keepdims=True)
    return samples - means


def resample(samples: Samples, sample_rate: int) -> Samples:
    """Resample (channels, samples) to 48 kHz."""
    from lofi_runtime.pipeline import resample as resampling

    return resampling.resample(samples, sample_rate, SAMPLE_RATE)


def to_peak(samples: Samples, peak_dbfs: float) -> Samples:
    """Scale so that the largest sample stands at `peak_dbfs`.

    Raises:
        ValueError: there is nothing but zeros.
    """
    import numpy as np

    peak = float(np.abs(samples).max())
    if peak == 0:
        raise ValueError("a track of zeros has no peak")
    return samples * np.float32(10 ** (peak_dbfs / 20) / peak)
