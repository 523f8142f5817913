"""What the figures of styles have in common: a rule made of a reference, and what is held to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from lofi_engine.metrics.checks import check_reference
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import Difference, Figure, Interval
from lofi_engine.metrics.protocol import Embedding, Needs, Report
from lofi_engine.metrics.style_sets import StyledSet, check_equal_lengths, check_styled_pairs
from lofi_engine.metrics.style_space import interval_by_style

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

Rule = TypeVar("Rule")


@dataclass(frozen=True)
class Found:
    """A figure of a set, and what the interval of its difference to another's follows from.

    Args:
        figure: of the set.
        values: of its clips, or of its redraws; what is subtracted from another set's.
    """

    figure: Figure
    values: Values


class StyleMetric(ABC, Generic[Rule]):
    """Judges sets of several styles by one rule that a reference gives.

    Args:
        embedding: of the sound.
        seed: of whatever is drawn.
    """

    name: str
    title: str
    needs: Needs = Needs(reference=True, styles=True)
    sees: frozenset[str] = frozenset()

    def __init__(self, embedding: Embedding, *, seed: int = 0) -> None:
        self._embedding = embedding
        self._seed = seed

    @abstractmethod
    def embed(
        self, judged: tuple[ClipSet, ...], reference: ClipSet, report: Report
    ) -> tuple[tuple[StyledSet, ...], Rule]:
        """Check and embed the sets; make the rule.

        Raises:
            MetricError: a set that tells nothing of styles, or a reference that gives no rule.
        """

    @abstractmethod
    def judge(self, styled: StyledSet, rule: Rule) -> tuple[Found, ...]:
        """Give a set's figures."""

    def apart(self, styled: StyledSet, values: Values) -> Interval:
        """Give the interval of a difference; here `Found.values` are redrawn figures.

        Args:
            styled: the first set.
            values: the first's (`Found.values`) less the second's.
        """
        return interval_by_style(values, styled)

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure a set.

        Args:
            judged: what is measured.
            against: the reference.
            report: called after every clip.

        Raises:
            MetricError: no reference; in either set a clip without a style, fewer than two styles
                or too few clips of one; or as `embed`.
        """
        (styled,), rule = self.embed((judged,), check_reference(self.name, against), report)
        return tuple(found.figure for found in self.judge(styled, rule))

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets by one rule, drawing the same clips of both.

        Raises:
            MetricError: as `measure`; also names, seeds, styles or lengths that do not match.
        """
        reference = check_reference(self.name, against)
        if not self.needs.pairs:  # else both are pairs of the reference's clips
            check_styled_pairs(first, second)
        (one, other), rule = self.embed((first, second), reference, report)
        if not self.needs.pairs:
            check_equal_lengths(one, other)
        return tuple(
            Difference.of(
                mine.figure,
                theirs.figure,
                self.apart(one, mine.values - theirs.values),
                len(one.names),
            )
            for mine, theirs in zip(self.judge(one, rule), self.judge(other, rule), strict=True)
        )
