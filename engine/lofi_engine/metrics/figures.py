"""A measured value with everything one must know to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOWER, HIGHER = "lower", "higher"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """Where the value would lie with other clips of the same kind, by bootstrap.

    Args:
        low: its lower end.
        high: its upper end.
        resamples: how often the set was drawn again; 0 where that tells nothing, all clips being
            marked alike, and the ends are those of Wilson's score interval.
        drawn: what was drawn with replacement: "clips", as windows of one clip are alike.
        confidence: the share of resampled values between the ends.
    """

    low: float
    high: float
    resamples: int
    drawn: str = "clips"
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Args:
        metric: its name, such as "fad".
        value: the figure itself, always finite.
        interval: its bootstrap interval; None where a single number cannot vary, and `details`
            says why under "no_interval".
        n: how many were counted.
        counted: what was counted: "windows", "clips", "pairs".
        better: LOWER or HIGHER, "" where neither is.
        unit: "" or such as "dB".
        judged: the label of the set it is of.
        against: the label of the reference set, "" where the metric needs none.
        reference_hash: the reference set's content hash, "" where there is none.
        embedding: the embedding's name, projection included; "" where none was used.
        each: the value of every clip, for metrics that have one.
        details: plain JSON values: window and hop, sizes of both sets, the fit of an extrapolation.
            "text" says in words what the figure comes to, "failed" that it is below a bound of the
            metric's own.
    """

    metric: str
    value: float
    interval: Interval | None
    n: int
    counted: str
    better: str
    unit: str = ""
    judged: str = ""
    against: str = ""
    reference_hash: str = ""
    embedding: str = ""
    each: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        """Whether it is below a bound of the metric's own, as collapsed styles are."""
        return bool(self.details.get("failed"))

    @property
    def text(self) -> str:
        """What it comes to in words; "" where the number says it."""
        return str(self.details.get("text", ""))


@dataclass(frozen=True)
class Difference:
    """How two sets of the same prompts and seeds differ in one figure.

    Args:
        metric: its name.
        value: the first set's figure less the second's.
        relative: `value` over the second's figure; None where that is zero.
        interval: of `value`, by paired bootstrap: both sets are drawn with the same clips.
        n: how many pairs of clips.
        first: the figure of the set that is judged.
        second: the figure of the set it is compared with.
    """

    metric: str
    value: float
    relative: float | None
    interval: Interval
    n: int
    first: Figure
    second: Figure

    @classmethod
    def of(cls, first: Figure, second: Figure, interval: Interval, n: int) -> Difference:
        """Give how far the first figure is from the second.

        Args:
            first: of the set that is judged.
            second: of the set it is compared with.
            interval: of the difference.
            n: how many pairs of clips.
        """
        value = first.value - second.value
        relative = relative_to(value, second.value)
        return cls(first.metric, value, relative, interval, n, first, second)

    @property
    def is_worse(self) -> bool:
        """Whether the first set is worse by more than chance: the interval leaves out zero."""
        if self.first.better == LOWER:
            return self.interval.low > 0
        return self.first.better == HIGHER and self.interval.high < 0


def relative_to(difference: float, value: float) -> float | None:
    """Give a difference over the value it is from; None where that is zero."""
    return difference / value if value else None
