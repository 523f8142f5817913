"""What metrics that hold every clip against its pair have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lofi_engine.metrics.checks import FormatCheck, check_reference, pair_names, read_pair
from lofi_engine.metrics.clip_by_clip import ClipByClip
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.figures import Figure
from lofi_engine.metrics.per_clip import measure_each
from lofi_engine.metrics.protocol import Needs, Report


@dataclass(frozen=True)
class Held:
    """What was measured of a pair.

    Args:
        value: the figure.
        parts: what it is made of, by name; their means stand in the figure's details.
    """

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)


class PairedMetric(ClipByClip):
    """Measures pairs one by one; a metric says how, and what it calls the result.

    Args:
        seed: of the bootstrap.
    """

    needs = Needs(reference=True, pairs=True)
    better: str
    unit: str = ""
    span: tuple[float, float] = (0.0, math.inf)  # the least and the most that a pair can get

    @abstractmethod
    def hold(self, found: Clip, reference: Clip, label: str) -> Held:
        """Measure one pair.

        Args:
            found: the clip that is judged.
            reference: its pair, as long, at the same sample rate, with as many channels.
            label: how errors call the pair, as "FOLDER: NAME".

        Raises:
            MetricError: the value would mean nothing.
        """

    def settings(self) -> Mapping[str, Any]:
        """Give what the figure's details state besides the parts, as plain JSON values."""
        return {}

    def read(self, judged: ClipSet, against: ClipSet, name: str) -> tuple[Clip, Clip]:
        """Read a pair; the sound is checked and cut to one length.

        Raises:
            MetricError: no sound, other formats, other lengths.
        """
        return read_pair(judged, against, name)

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure every pair; the figure is their mean."""
        reference = check_reference(self.name, against)
        names = pair_names(judged, reference)
        formats = FormatCheck()
        held: dict[str, Held] = {}
        for number, name in enumerate(names, 1):
            found, expected = self.read(judged, reference, name)
            formats.see(found, judged.label)
            held[name] = self.hold(found, expected, f"{judged.label}: {name}")
            report(number, len(names), name)
        figure = measure_each(
            self.name,
            {name: one.value for name, one in held.items()},
            better=self.better,
            unit=self.unit,
            counted="pairs",
            judged=judged.label,
            against=reference.label,
            reference_hash=reference.content_hash(),
            details={**self.settings(), **_means(held)},
            span=self.span,
            seed=self._seed,
        )
        return (figure,)


def _means(held: Mapping[str, Held]) -> dict[str, float]:
    names = next(iter(held.values())).parts
    return {part: math.fsum(one.parts[part] for one in held.values()) / len(held) for part in names}
