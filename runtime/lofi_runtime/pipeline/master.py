"""A decoded waveform made ready to play: 48 kHz, exact duration, even loudness, safe peaks.

The chain: resample, cut to the duration, bring to the loudness and the peaks that every track has
(`lofi_runtime.loudness`), fade both ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE, Audio
from lofi_runtime.errors import BackendError
from lofi_runtime.loudness import to_target
from lofi_runtime.pipeline.resample import resample

Floats = npt.NDArray[np.float32]

FADE_IN_SEC = 0.005
FADE_OUT_SEC = 0.05

_FULL_SCALE = 0.999
_CLIPPED_SHARE = 1e-3
_SILENT_PEAK = 1e-4
_SILENCE_DB = -40.0
_SILENT_SHARE = 0.5
_FRAME = SAMPLE_RATE // 20


def master(waveform: Floats, sample_rate: int, duration_sec: float) -> Audio:
    """Master a decoded waveform.

    Args:
        waveform: float32 (2, samples), at least as long as `duration_sec`.
        sample_rate: of the waveform, in Hz.
        duration_sec: length of the answer.

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
    resampled = resample(waveform, sample_rate, SAMPLE_RATE)
    samples = _cut(resampled, round(duration_sec * SAMPLE_RATE))
    warnings = tuple(_warnings(waveform, samples))
    mastered = np.array(samples, dtype=np.float32)
    to_target(mastered)
    _fade(mastered)
    return Audio(mastered, warnings)


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


def _fade(samples: Floats) -> None:
    """Fade both ends in place."""
    length = samples.shape[-1]
    for seconds, at_end in ((FADE_IN_SEC, False), (FADE_OUT_SEC, True)):
        count = min(round(seconds * SAMPLE_RATE), length)
        ramp = np.sin(0.5 * np.pi * np.arange(count) / max(count, 1)).astype(np.float32) ** 2
        if at_end:
            samples[:, length - count :] *= ramp[::-1]
        else:
            samples[:, :count] *= ramp
