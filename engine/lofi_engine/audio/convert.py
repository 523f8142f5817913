"""Brings any source to what the dataset holds: 48 kHz, stereo, one peak or one loudness."""

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
    1: "C",
    2: "L R",
    3: "L R C",
    4: "L R Ls Rs",
    5: "L R C Ls Rs",
    6: "L R C LFE Ls Rs",
    7: "L R C LFE Cs Ls Rs",
    8: "L R C LFE Lb Rb Ls Rs",
}
# Xiph's order, for Vorbis and Opus (Vorbis I specification, section 4.3.9).
_XIPH_ORDER = {
    1: "C",
    2: "L R",
    3: "L C R",
    4: "L R Ls Rs",
    5: "L C R Ls Rs",
    6: "L C R Ls Rs LFE",
    7: "L C R Ls Rs Cs LFE",
    8: "L C R Ls Rs Lb Rb LFE",
}


def to_stereo(decoded: Decoded) -> Samples:
    """Give (2, samples): mono on both sides, more channels folded down as `fold` does."""
    return both_sides(fold(decoded))


def fold(decoded: Decoded) -> Samples:
    """Give (1, samples) for mono and (2, samples) for all else: work on mono costs half.

    Surround is folded down by the places its container or format gives the channels; where
    neither says (9 channels and more), their mean is on both sides.
    """
    import numpy as np

    samples, channels = decoded.samples, decoded.channels
    if channels <= 2:
        return samples
    places = channel_places(decoded)
    if not places:
        mean: Samples = samples.mean(axis=0, keepdims=True, dtype=np.float32)
        return mean
    gains = np.array([_PLACES[place] for place in places], dtype=np.float32)
    return np.ascontiguousarray(gains.T @ samples)


def channel_places(decoded: Decoded) -> tuple[str, ...]:
    """Give each channel's place; empty where nobody says."""
    if decoded.layout:
        return decoded.layout
    orders = _XIPH_ORDER if decoded.subtype in ("VORBIS", "OPUS") else _WAV_ORDER
    return tuple(orders.get(decoded.channels, "").split())


def both_sides(samples: Samples) -> Samples:
    """Give (2, samples) of one channel or two."""
    import numpy as np

    return samples if len(samples) == 2 else np.repeat(samples, 2, axis=0)


def without_offset(samples: Samples) -> Samples:
    """Give (channels, samples) with each channel's mean taken out."""
    means: Samples = samples.mean(axis=1, keepdims=True)
    return samples - means


def resample(samples: Samples, sample_rate: int) -> Samples:
    """Resample (channels, samples) to 48 kHz."""
    from lofi_runtime.pipeline import resample as resampling

    return resampling.resample(samples, sample_rate, SAMPLE_RATE)


def gain_to_peak(samples: Samples, peak_dbfs: float) -> float:
    """Give the gain that brings the largest sample to `peak_dbfs`.

    Raises:
        ValueError: there is nothing but zeros.
    """
    peak = max(float(samples.max()), -float(samples.min()))
    if peak == 0:
        raise ValueError("a track of zeros has no peak")
    return float(10 ** (peak_dbfs / 20)) / peak


def gain_to_loudness(
    samples: Samples, loudness_lufs: float, peak_dbfs: float
) -> tuple[float, float]:
    """Give the gain to a loudness, or as near to it as the peaks between the samples allow.

    Nothing is limited or compressed: what a track loses to a limiter, a model would learn to lose.

    Args:
        samples: (1 or 2, samples) at 48 kHz.
        loudness_lufs: what is asked for.
        peak_dbfs: what no true peak may exceed.

    Returns:
        The gain, and the loudness reached with it.

    Raises:
        ValueError: it is too quiet to have a loudness.
    """
    from lofi_engine.audio.levels import FLOOR_LUFS, decibels, integrated_loudness
    from lofi_engine.audio.peaks import true_peak

    found_lufs = integrated_loudness(samples, SAMPLE_RATE)
    if found_lufs <= FLOOR_LUFS:
        raise ValueError("a track under -70 LUFS has no loudness")
    room_db = peak_dbfs - decibels(true_peak(samples, SAMPLE_RATE).amplitude)
    gain_db = min(loudness_lufs - found_lufs, room_db)
    return float(10 ** (gain_db / 20)), found_lufs + gain_db
