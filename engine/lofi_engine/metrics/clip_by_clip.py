"""What metrics have in common whose figures are means over clips, compared clip by clip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from lofi_engine.metrics.checks import check_set, pair_names
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.each_clip import value_each, value_pairs
from lofi_engine.metrics.figures import Difference, Figure
from lofi_engine.metrics.per_clip import compare_each
from lofi_engine.metrics.protocol import Needs, Report

Score = TypeVar("Score")


class ClipByClip(ABC):
    """Measures sets one by one and compares their figures clip by clip, by paired bootstrap.

    Args:
        seed: of the bootstrap.
    """

    name: str
    title: str
    needs: Needs = Needs()
    sees: frozenset[str] = frozenset()
    graded_spans: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The least and the most that a clip can get, of the figures whose values are marks."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    @abstractmethod
    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure a set (`Metric.measure`); every figure is of `measure_each`."""

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Measure both sets, held to the same, and compare them clip by clip.

        Raises:
            MetricError: as `measure`; also names, prompts or seeds that do not match.
        """
        pair_names(first, second)
        figures = [self.measure(clips, against, report) for clips in (first, second)]
        return self._differences(*figures)

    def _differences(
        self, first: tuple[Figure, ...], second: tuple[Figure, ...]
    ) -> tuple[Difference, ...]:
        spans = self.graded_spans
        return tuple(
            compare_each(one, other, graded_span=spans.get(one.metric), seed=self._seed)
            for one, other in zip(first, second, strict=True)
        )


class Scorer(ClipByClip, Generic[Score]):
    """Scores every clip by itself, without a reference; a metric says how.

    Compared clips are cut to the length of their pair before they are scored.
    """

    @abstractmethod
    def score(self, clip: Clip) -> Score:
        """Score one clip that has sound in it.

        Raises:
            MetricError: the score would mean nothing; starts with the clip's name.
        """

    @abstractmethod
    def figures(self, clips: ClipSet, scores: Mapping[str, Score]) -> tuple[Figure, ...]:
        """Sum up a set's scores, which are by clip."""

    def check(self, clips: ClipSet) -> None:
        """Refuse a set by its facts alone, before any sound is read.

        Raises:
            MetricError: something that `score` needs is not known of a clip.
        """

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Score every clip of a set; `against` is not used.

        Raises:
            MetricError: there is one clip alone, one has no sound, or as `check` and `score`.
        """
        check_set(judged)
        self.check(judged)
        return self.figures(judged, value_each(judged, judged.names, self.score, report))

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets made from the same prompts and seeds, by paired bootstrap.

        Raises:
            MetricError: as `measure`; also names, prompts or seeds that do not match.
        """
        names = pair_names(first, second)
        for clips in (first, second):
            self.check(clips)
        scores = value_pairs(first, second, names, self.score, report)
        return self._differences(self.figures(first, scores[0]), self.figures(second, scores[1]))
