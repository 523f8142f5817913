"""Levels over time: silence, noise between the sounds, and how loud a track is heard."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Levels = npt.NDArray[np.float64]

FRAME_SEC = 0.05
SILENCE_BELOW_DB = 40.0
"""A frame this far below the track's own loudness is silent."""
SILENCE_FLOOR_DBFS = -70.0
"""A frame below this is silent in any track."""
FLOOR_DBFS = -120.0
"""The least that any level is given as."""
FLOOR_LUFS = -70.0
"""The absolute gate of BS.1770: what is given where no block passes it."""

_BLOCK_SEC = 0.4
_CELLS_PER_SEC = 100
_CELLS_AT_ONCE = 200
_RUN = 1024
_OFFSET_COUNTS_FROM = 1e-4  # -80 dBFS: less of an offset is below what counts as sound


def decibels(amplitude: float) -> float:
    """Give an amplitude in dBFS, -120 at the least."""
    return max(FLOOR_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DBFS


def offsets(samples: Samples) -> Levels:
    """Give each channel's mean, summed in runs so that single precision does not tell."""
    import numpy as np

    length = samples.shape[1]
    whole = length // _RUN * _RUN
    runs = samples[:, :whole].reshape(len(samples), -1, _RUN).sum(axis=2)
    totals = runs.sum(axis=1, dtype=np.float64) + samples[:, whole:].sum(axis=1, dtype=np.float64)
    means: Levels = totals / length
    return means


def frame_levels(samples: Samples, sample_rate: int, frame_sec: float = FRAME_SEC) -> Levels:
    """Give each frame's level, the mean over the channels, each channel's offset removed.

    Args:
        samples: (channels, samples).
        sample_rate: of the samples.
        frame_sec: length of a frame; what is left over at the end is in none.

    Returns:
        (frames,) RMS in dBFS; one frame for what is shorter than one.
    """
    import numpy as np

    frame = min(max(1, round(frame_sec * sample_rate)), samples.shape[1])
    count = samples.shape[1] // frame
    powers = np.zeros(count)
    for channel, mean in zip(samples, offsets(samples), strict=True):
        framed = channel[: count * frame].reshape(count, frame)
        if abs(mean) > _OFFSET_COUNTS_FROM:
            framed = framed - np.float32(mean)
        powers += np.einsum("ij,ij->i", framed, framed)
    levels: Levels = 10 * np.log10(powers / (frame * len(samples)) + 1e-12)
    return levels


def silence(levels: Levels) -> tuple[float, float]:
    """Give the level of what sounds and the share of frames that do not.

    Args:
        levels: of the frames, in dBFS.

    Returns:
        RMS in dBFS of the frames above -70, -120 where there are none; the share of frames 40 dB
        under that or at most at -70, 0 to 1.
    """
    import numpy as np

    sounding = levels > SILENCE_FLOOR_DBFS
    if not sounding.any():
        return FLOOR_DBFS, 1.0
    rms_dbfs = float(10 * np.log10((10 ** (levels[sounding] / 10)).mean()))
    silent = levels <= max(SILENCE_FLOOR_DBFS, rms_dbfs - SILENCE_BELOW_DB)
    return rms_dbfs, float(silent.mean())


def integrated_loudness(samples: Samples, sample_rate: int) -> float:
    """Measure the gated loudness of what is heard by ITU-R BS.1770-4.

    pyloudnorm designs the weighting for the sample rate and gates. Between the two it is handed the
    weighted sound as the RMS of 10 ms cells, of which its blocks of 400 ms are whole numbers: the
    same figure in a third of the time.

    Args:
        samples: (1 or 2, samples); one channel is heard from both sides.
        sample_rate: of the samples.

    Returns:
        LUFS; -70 where nothing passes the gate.
    """
    import numpy as np
    import pyloudnorm

    cell = round(sample_rate / _CELLS_PER_SEC)
    rate = sample_rate / cell
    least = math.ceil(_BLOCK_SEC * rate)
    powers = sum(_weighted_powers(channel, sample_rate, cell) for channel in samples)
    envelope = np.sqrt(powers * (3 - len(samples)))  # both sides weigh the same: one will do
    envelope = np.pad(envelope, (0, max(0, least - len(envelope))))
    gate = pyloudnorm.Meter(rate, filter_class="custom", block_size=_BLOCK_SEC)
    with np.errstate(all="ignore"):  # silence, which is answered below
        loudness = float(gate.integrated_loudness(envelope))
    return max(FLOOR_LUFS, loudness) if math.isfinite(loudness) else FLOOR_LUFS


def _weighted_powers(channel: Samples, sample_rate: int, cell: int) -> Levels:
    """Give the weighted mean square of each cell, in pieces that stay in the cache."""
    import numpy as np
    from scipy.signal import sosfilt

    sections = _k_weighting(sample_rate)
    state = np.zeros((len(sections), 2))
    powers = [np.zeros(0)]
    for start in range(0, len(channel), cell * _CELLS_AT_ONCE):
        piece = channel[start : start + cell * _CELLS_AT_ONCE]
        weighted, state = sosfilt(sections, piece, zi=state)
        whole = weighted[: len(weighted) // cell * cell].reshape(-1, cell)
        powers.append(np.einsum("ij,ij->i", whole, whole) / cell)
    return np.concatenate(powers)


@cache
def _k_weighting(sample_rate: int) -> Any:
    """Give BS.1770's two filters as second-order sections (2, 6).

    The recommendation has coefficients for 48 kHz alone; these are its analogue prototypes as De
    Man found them ("Evaluation of Implementations of the EBU R128 Loudness Measurement", 2014).
    """
    import numpy as np
    from pyloudnorm import IIRfilter

    shelf = (3.99984385397, 0.7071752369554193, 1681.9744509555319, sample_rate)
    high_pass = (0.0, 0.5003270373253953, 38.13547087613982, sample_rate)
    filters = (IIRfilter(*shelf, "high_shelf_DeMan"), IIRfilter(*high_pass, "high_pass_DeMan"))
    return np.array([[*one.b, *one.a] for one in filters])
