"""Six ways to make sound worse, each in steps from mild to severe.

All keep the number of channels, the length and the sample rate, so that a degraded clip is a pair
of its original, and none changes the level on purpose: what a metric sees is the damage alone.
Sums may leave -1 to 1; nothing is clipped but by the clipping itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.ladder.stretch import stretch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

FRAME_RATE_HZ = 44_100 / 512
"""Of the vocoder's mel frames: what goes wrong at their borders buzzes at this frequency."""

_BUZZ_TO_HZ = 10_000.0
_FILTER_ORDER = 4  # forwards and backwards: 48 dB an octave


@dataclass(frozen=True)
class Degradation:
    """One way to make sound worse.

    Args:
        name: as `Metric.sees` has it, such as "low-pass".
        title: what it does, in one line for people.
        unit: of a level, such as "Hz".
        levels: from mild to severe.
        change: what `apply` calls, without its checks.
    """

    name: str
    title: str
    unit: str
    levels: tuple[float, ...]
    change: Callable[[Samples, int, float, int], Samples]

    def apply(self, samples: Samples, sample_rate: int, level: float, seed: int) -> Samples:
        """Degrade a clip; equal arguments give equal samples.

        Args:
            samples: float32 (channels, samples), at least one of each; left as they are.
            sample_rate: in Hz.
            level: in `unit`; those of `levels`, or any in between.
            seed: of what is random, the noise and where the buzz begins.

        Returns:
            float32 of the same shape.

        Raises:
            MetricError: there are no samples.
        """
        import numpy as np

        if samples.ndim != 2 or samples.size == 0:
            raise MetricError(
                f"{self.name}: samples of shape {samples.shape} cannot be degraded",
                hint="give float32 (channels, samples), at least one of each",
            )
        changed = self.change(samples, sample_rate, level, seed)
        degraded: Samples = np.ascontiguousarray(changed, np.float32)
        return degraded

    def say(self, level: float) -> str:
        """Write a level with its unit: "8 bits", "0.1 % of samples"."""
        return f"{level:g} {self.unit}"


def _quantize(samples: Samples, _sample_rate: int, level: float, _seed: int) -> Samples:
    """Round to 2^bits steps from -1 to 1, zero among them, without dither.

    The signal's level is left as it is: a quiet clip loses more, as on a real converter.
    """
    import numpy as np

    step = 2.0 ** (1 - level)
    rounded: Samples = np.clip(np.round(samples / step) * step, -1.0, 1.0 - step)
    return rounded


def _low_pass(samples: Samples, sample_rate: int, level: float, _seed: int) -> Samples:
    """Filter with a Butterworth forwards and backwards: zero phase, -6 dB at the level's frequency.

    A frequency that the sample rate cannot hold leaves the clip as it is.
    """
    import numpy as np
    from scipy.signal import butter, sosfiltfilt

    if level >= sample_rate / 2:
        return samples.copy()
    sections = butter(_FILTER_ORDER, level, fs=sample_rate, output="sos")
    padding = min(round(4 * sample_rate / level), samples.shape[1] - 1)
    filtered = sosfiltfilt(sections, samples.astype(np.float64), axis=1, padlen=padding)
    passed: Samples = filtered.astype(np.float32)
    return passed


def _add_noise(samples: Samples, _sample_rate: int, level: float, seed: int) -> Samples:
    """Add white Gaussian noise, another in each channel, `level` dB under the clip's power."""
    import numpy as np

    noise = np.random.default_rng(seed).standard_normal(samples.shape)
    return _add_at(samples, noise, level)


def _clip(samples: Samples, _sample_rate: int, level: float, _seed: int) -> Samples:
    """Flatten the `level` % of samples that are the loudest, of all channels together."""
    import numpy as np

    magnitudes = np.abs(samples).ravel()
    kept = len(magnitudes) - min(round(len(magnitudes) * level / 100), len(magnitudes) - 1)
    most = np.partition(magnitudes, kept - 1)[kept - 1]
    return np.clip(samples, -most, most)


def _slow_down(samples: Samples, sample_rate: int, level: float, _seed: int) -> Samples:
    """Play `level` % slower at the same pitch, cut back to the clip's length.

    Slower, not faster: what is too long can be cut, what is too short would have to be filled.
    """
    return stretch(samples, sample_rate, 1 - level / 100)[:, : samples.shape[1]]


def _add_buzz(samples: Samples, sample_rate: int, level: float, seed: int) -> Samples:
    """Add harmonics of 86.13 Hz up to 10 kHz, equally strong and in phase, alike in all channels.

    A click at every frame's border sounds so. The seed says where the first one is.
    """
    import numpy as np

    highest = min(_BUZZ_TO_HZ, 0.45 * sample_rate)
    count = max(1, int(highest / FRAME_RATE_HZ))
    begins = np.random.default_rng(seed).random()
    turns = FRAME_RATE_HZ / sample_rate * np.arange(samples.shape[1]) + begins
    angle = np.pi * (turns - np.round(turns))
    # The sum of cos(2 k angle), k from 1 to count, in closed form (Dirichlet's kernel).
    safe = np.where(np.abs(angle) < 1e-9, 1.0, angle)
    kernel = np.sin((2 * count + 1) * safe) / np.sin(safe)
    comb = np.where(np.abs(angle) < 1e-9, float(count), (kernel - 1) / 2)
    return _add_at(samples, np.broadcast_to(comb, samples.shape), level)


def _add_at(samples: Samples, added: npt.NDArray[np.float64], under_db: float) -> Samples:
    """Add a sound at this many dB under the clip's own power; to silence, nothing."""
    import numpy as np

    power = float(np.square(samples, dtype=np.float64).mean())
    gain = np.sqrt(power / np.square(added).mean()) * 10 ** (-under_db / 20)
    summed: Samples = (samples + gain * added).astype(np.float32)
    return summed


DEGRADATIONS: Mapping[str, Degradation] = {
    one.name: one
    for one in (
        Degradation(
            "quantization",
            "rounded to fewer bits without dither, the level as it is",
            "bits",
            (12, 10, 8, 6, 4),
            _quantize,
        ),
        Degradation(
            "low-pass",
            "zero-phase Butterworth, -6 dB at the frequency, 48 dB an octave",
            "Hz",
            (12_000, 8_000, 5_000, 3_000, 1_500),
            _low_pass,
        ),
        Degradation(
            "noise",
            "white noise this far under the clip's power",
            "dB SNR",
            (50, 40, 30, 20, 10),
            _add_noise,
        ),
        Degradation(
            "clipping",
            "the loudest samples flattened",
            "% of samples",
            (0.1, 1, 5, 15, 30),
            _clip,
        ),
        Degradation(
            "tempo",
            "slower at the same pitch (overlapped frames, WSOLA), cut back to the clip's length",
            "% slower",
            (2, 5, 10, 20),
            _slow_down,
        ),
        Degradation(
            "buzz",
            "a comb at the vocoder's frame rate, 86.13 Hz, this far under the clip's power",
            "dB under",
            (50, 40, 30, 20, 10),
            _add_buzz,
        ),
    )
}
"""By name."""


def find_degradation(name: str) -> Degradation:
    """Give a degradation by its name.

    Raises:
        MetricError: there is none of this name; names the nearest and all there are.
    """
    if name in DEGRADATIONS:
        return DEGRADATIONS[name]
    near = difflib.get_close_matches(name.lower()[:80], DEGRADATIONS, n=1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    raise MetricError(
        f"there is no degradation '{name[:80]}'", hint=f"{meant}there are {', '.join(DEGRADATIONS)}"
    )
