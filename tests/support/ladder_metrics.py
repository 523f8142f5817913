"""Metrics of a line or two, for what the ladder makes of them: they see much, little or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipSet, ClipsInMemory
from lofi_engine.metrics.figures import LOWER, Difference, Figure
from lofi_engine.metrics.per_clip import compare_each, measure_each
from lofi_engine.metrics.protocol import Needs, Report

Samples = npt.NDArray[np.float32]
SAMPLE_RATE = 48_000


def error_power(judged: Samples, reference: Samples) -> float:
    """Give how far two clips' waveforms are apart."""
    return float(np.square(judged.astype(np.float64) - reference).mean())


def high_power(judged: Samples, _reference: Samples) -> float:
    """Give the power of neighbouring samples' differences, which noise raises."""
    return float(np.square(np.diff(judged.astype(np.float64))).mean())


@dataclass
class StandInMetric:
    """A metric of one value a clip.

    Args:
        value: of a clip and its pair.
        sees: what it claims.
        better: LOWER, HIGHER or "".
        needs: `pairs` gives each clip its pair; otherwise the first clip of the reference.
        name: as on the command line.
        refuses: where this is true of a clip, it is refused.
    """

    value: Callable[[Samples, Samples], float]
    sees: frozenset[str] = frozenset()
    better: str = LOWER
    needs: Needs = field(default_factory=lambda: Needs(reference=True, pairs=True))
    name: str = "stand-in"
    refuses: Callable[[Samples], bool] = field(default=lambda samples: False)
    title: str = "a stand-in"

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure every clip."""
        values = {}
        for name in judged.names:
            samples = judged.clip(name).samples
            if self.refuses(samples):
                raise MetricError(f"{judged.label}: {name}: refused", hint="none")
            if against is None or not self.needs.reference:
                values[name] = self.value(samples, samples)
            else:
                other = name if self.needs.pairs else against.names[0]
                values[name] = self.value(samples, against.clip(other).samples)
        label = against.label if against and self.needs.reference else ""
        return (
            measure_each(self.name, values, better=self.better, judged=judged.label, against=label),
        )

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare clip by clip."""
        (one,), (other,) = (self.measure(each, against, report) for each in (first, second))
        return (compare_each(one, other),)


def noisy_tones(count: int, seconds: float = 1.0) -> ClipsInMemory:
    """Make stereo clips of a few tones each, all different, no two equally loud."""
    clips = []
    at = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    for index in range(count):
        rng = np.random.default_rng(index)
        tones = sum(np.sin(2 * np.pi * hertz * at) for hertz in rng.uniform(100, 4000, 5))
        samples = np.stack([tones, 0.8 * tones]) * (0.05 + 0.01 * index)
        clips.append(Clip(f"clip {index:02}", samples.astype(np.float32), SAMPLE_RATE))
    return ClipsInMemory("tones", clips)
