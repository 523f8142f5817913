"""Runs metrics over sets of clips; one that refuses does not lose the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import pair_names
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import Difference, Figure
from lofi_engine.metrics.protocol import Metric, Report
from lofi_runtime.errors import LofiError

PAIRS_IF_ANY = frozenset({"tempo", "key"})
"""Metrics that hold clips to their pairs where there are any, and else to their prompts."""


@dataclass(frozen=True)
class Sets:
    """What is measured.

    Args:
        judged: the set that is judged.
        against: what it is held against, or compared with where there is a reference.
        reference: what both are held against.
    """

    judged: ClipSet
    against: ClipSet | None = None
    reference: ClipSet | None = None

    @property
    def all(self) -> tuple[ClipSet, ...]:
        """The sets there are: judged, against, reference."""
        return tuple(one for one in (self.judged, self.against, self.reference) if one is not None)

    @property
    def held_against(self) -> ClipSet | None:
        """The set that metrics with a reference hold the judged one against."""
        return self.against if self.reference is None else self.reference


@dataclass(frozen=True)
class Score:
    """What one metric gave.

    Args:
        metric: its name.
        figures: of single sets.
        differences: of the judged set to the one it is compared with.
        refused: why it gave nothing; "" where it did.
        note: why the second set has no figure of its own; "" where it has, or needs none.
    """

    metric: str
    figures: tuple[Figure, ...] = ()
    differences: tuple[Difference, ...] = ()
    refused: str = ""
    note: str = ""

    @property
    def failed(self) -> tuple[Figure, ...]:
        """The judged set's figures that are below a bound of the metric's own."""
        judged = (*self.figures, *(one.first for one in self.differences))
        return tuple(figure for figure in judged if figure.has_failed)


def score(name: str, make: Callable[[], Metric], sets: Sets, report: Report) -> Score:
    """Run one metric over the sets.

    With a reference, the judged set and the other are compared by how both stand to it. Without, a
    metric that needs a reference takes the other set as such, as do those of `PAIRS_IF_ANY` where
    it holds the pairs; others compare the two where they are pairs, else measure each by itself.

    Args:
        name: of the metric.
        make: makes it; what that raises is its refusal.
        sets: what it is run over.
        report: called after every clip.
    """
    try:
        found = _run(name, make(), sets, report)
        _check_finite(found)
    except LofiError as error:
        return Score(name, refused=str(error))
    return found


def _run(name: str, metric: Metric, sets: Sets, report: Report) -> Score:
    judged, against = sets.judged, sets.against
    if against is not None and sets.reference is not None:
        reference = sets.reference if _takes(metric, judged, sets.reference) else None
        return Score(name, differences=metric.compare(judged, against, reference, report))
    if against is None or _takes(metric, judged, against):
        return Score(name, figures=metric.measure(judged, against, report))
    return _side_by_side(name, metric, (judged, against), report)


def _takes(metric: Metric, judged: ClipSet, other: ClipSet) -> bool:
    """Whether a metric holds the judged set against the other."""
    if metric.needs.reference:
        return True
    return metric.name in PAIRS_IF_ANY and are_pairs(judged, other)


def _side_by_side(
    name: str, metric: Metric, sets: tuple[ClipSet, ClipSet], report: Report
) -> Score:
    """Compare two sets by a metric that needs no reference, or else measure each by itself."""
    judged, other = sets
    if are_pairs(judged, other):
        try:
            return Score(name, differences=metric.compare(judged, other, None, report))
        except MetricError:
            pass  # which of the two it is about shows below
    figures = metric.measure(judged, None, report)
    try:
        return Score(name, figures=(*figures, *metric.measure(other, None, report)))
    except MetricError as error:
        return Score(name, figures=figures, note=str(error))


def are_pairs(first: ClipSet, second: ClipSet) -> bool:
    """Whether every clip has its pair: the same name, and seed and prompt where they are known."""
    try:
        pair_names(first, second)
    except MetricError:
        return False
    return True


def _check_finite(score: Score) -> None:
    compared = [one for found in score.differences for one in (found.first, found.second)]
    found: list[Figure | Difference] = [*score.figures, *compared, *score.differences]
    for one in found:
        ends = () if one.interval is None else (one.interval.low, one.interval.high)
        for value in (one.value, *ends):
            if not math.isfinite(value):
                raise MetricError(
                    f"{one.metric}: came out as {value}", hint="look for odd clips in the sets"
                )
