"""A decoded waveform made ready to play: 48 kHz, exact duration, even loudness, safe peaks.

The chain: resample, cut to the duration, bring to the loudness and the peaks that every track has
(`lofi_runtime.loudness`), fade both ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE, Audio
from lofi_runtime.errors import BackendError
from lofi_runtime.faults import clipping
from lofi_runtime.loudness import MAX_GAIN_DB, TARGET_LUFS, integrated_loudness, to_target
from lofi_runtime.pipeline.resample import resample

Floats = npt.NDArray[np.float32]

FADE_IN_SEC = 0.005
FADE_OUT_SEC = 0.05
_SURELY_RAISED = 0.1
"""The deviation of samples that need no gain near the limit, whatever their frequencies."""


def master(waveform: Floats, sample_rate: int, duration_sec: float) -> Audio:
    """Master a decoded waveform.

    Args:
        waveform: float32 (2, samples), at least as long as `duration_sec`.
        sample_rate: of the waveform, in Hz.
        duration_sec: length of the answer.

    Returns:
        Exactly `duration_sec` at 48 kHz, with warnings where the model clipped or was too quiet;
        `faults` says the rest.

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
    mastered = np.array(samples, dtype=np.float32)
    to_target(mastered)
    _fade(mastered)
    # What the limiter does is not clipping; what the model did has to be seen before it.
    return Audio(mastered, clipping(waveform) + _quiet(samples, mastered))


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


def _quiet(samples: Floats, mastered: Floats) -> tuple[str, ...]:
    """Say how far a track is below the target that was too quiet to be raised to it."""
    if float(np.std(samples)) > _SURELY_RAISED:
        return ()
    below = TARGET_LUFS - integrated_loudness(mastered)
    if not 1.0 < below < np.inf:
        return ()
    return (f"quiet: {below:.0f} LU below other tracks, though raised by {MAX_GAIN_DB:g} dB",)


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
