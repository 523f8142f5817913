"""A decoded waveform made ready to play: 48 kHz, exact duration, even loudness, safe peaks.

The chain: resample (soxr HQ), cut to the duration, bring to `TARGET_LUFS` (by at most
`MAX_GAIN_DB`), limit peaks to `CEILING_DBFS` with 4 ms of look-ahead, fade both ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE, Audio
from lofi_runtime.errors import BackendError
from lofi_runtime.loudness import integrated_loudness, limit

Floats = npt.NDArray[np.float32]

TARGET_LUFS = -14.0
MAX_GAIN_DB = 20.0
CEILING_DBFS = -1.0
FADE_IN_SEC = 0.005
FADE_OUT_SEC = 0.05

_FULL_SCALE = 0.999
_CLIPPED_SHARE = 1e-3
_SILENT_PEAK = 1e-4
_SILENCE_DB = -40.0
_SILENT_SHARE = 0.5
_FRAME = SAMPLE_RATE // 20


def master(
    waveform: Floats, sample_rate: int, duration_sec: float, *, target_lufs: float = TARGET_LUFS
) -> Audio:
    """Master a decoded waveform.

    Args:
        waveform: float32 (2, samples), at least as long as `duration_sec`.
        sample_rate: of the waveform, in Hz.
        duration_sec: length of the answer.
        target_lufs: loudness to reach, where `MAX_GAIN_DB` is enough.

    Returns:
        Exactly `duration_sec` at 48 kHz, with warnings for silence and clipping.

    Raises:
        BackendError: the waveform has values that are not numbers, or is too short.
    """
    if not np.isfinite(waveform).all():
        bad = int(np.count_nonzero(~np.isfinite(waveform)))
        raise BackendError(
            f"the model gave {bad} samples that are not numbers, of {waveform.size}",
            hint="try another variant of the model; this one may overflow on this machine",
        )
    samples = _cut(_resampled(waveform, sample_rate), round(duration_sec * SAMPLE_RATE))
    warnings = tuple(_warnings(waveform, samples))
    samples = samples * _loudness_gain(samples, target_lufs)
    return Audio(_fade(_limit(samples)), warnings)


def _resampled(waveform: Floats, sample_rate: int) -> Floats:
    if sample_rate == SAMPLE_RATE:
        return waveform
    import soxr

    resampled = soxr.resample(waveform.T, sample_rate, SAMPLE_RATE, quality="HQ").T
    return np.ascontiguousarray(resampled, dtype=np.float32)


def _cut(samples: Floats, length: int) -> Floats:
    """Cut to the length; a resampler may round a sample or two away, no more."""
    lacking = length - samples.shape[-1]
    if lacking > 2:
        raise BackendError(
            f"the model gave {samples.shape[-1]} samples, {length} wanted",
            hint="the bundle's graphs and manifest do not belong together",
        )
    if lacking > 0:
        samples = np.pad(samples, ((0, 0), (0, lacking)))
    return samples[:, :length]


def _warnings(raw: Floats, samples: Floats) -> list[str]:
    warnings = []
    clipped = float(np.mean(np.abs(raw) >= _FULL_SCALE))
    if clipped > _CLIPPED_SHARE:
        warnings.append(f"distorted: {clipped:.1%} of the samples are clipped")
    if float(np.max(np.abs(samples), initial=0.0)) < _SILENT_PEAK:
        warnings.append("silent")
    elif (silent := _silent_share(samples)) > _SILENT_SHARE:
        warnings.append(f"mostly silent: {silent:.0%} of the track")
    return warnings


def _silent_share(samples: Floats) -> float:
    """Share of 50 ms frames more than 40 dB below the loudest one."""
    count = samples.shape[-1] // _FRAME
    frames = samples[:, : count * _FRAME].reshape(2, count, _FRAME)
    power = np.mean(np.square(frames, dtype=np.float64), axis=(0, 2))
    return float(np.mean(power < np.max(power) * 10.0 ** (_SILENCE_DB / 10.0)))


def _loudness_gain(samples: Floats, target_lufs: float) -> np.float32:
    loudness = integrated_loudness(samples)
    if not np.isfinite(loudness):
        return np.float32(1.0)
    gain_db = min(target_lufs - loudness, MAX_GAIN_DB)
    return np.float32(10.0 ** (gain_db / 20.0))


def _limit(samples: Floats) -> Floats:
    """Hold the peaks at the ceiling; rounding may leave a hair above it, which is cut."""
    ceiling = float(np.float32(10.0 ** (CEILING_DBFS / 20.0)))
    limited = np.array(samples, dtype=np.float32)
    limit(limited, ceiling)
    return limited.clip(-ceiling, ceiling, out=limited)


def _fade(samples: Floats) -> Floats:
    faded = samples.astype(np.float32, copy=True)
    length = samples.shape[-1]
    for seconds, at_end in ((FADE_IN_SEC, False), (FADE_OUT_SEC, True)):
        count = min(round(seconds * SAMPLE_RATE), length)
        ramp = np.sin(0.5 * np.pi * np.arange(count) / max(count, 1)).astype(np.float32) ** 2
        if at_end:
            faded[:, length - count :] *= ramp[::-1]
        else:
            faded[:, :count] *= ramp
    return faded
