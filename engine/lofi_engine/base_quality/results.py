"""What a figure comes to: rows of a table, each with what one must know to trust it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from lofi_engine.metrics.bootstrap import graded_interval, mean_interval, share_interval
from lofi_engine.metrics.figures import HIGHER, LOWER, Figure


@dataclass(frozen=True)
class Goal:
    """What a value should reach.

    Args:
        bound: the value that is just good enough.
        better: `LOWER` or `HIGHER`.
    """

    bound: float
    better: str

    def is_reached(self, value: float) -> bool:
        """Whether a value is as good as the bound."""
        return value <= self.bound if self.better == LOWER else value >= self.bound


@dataclass(frozen=True)
class Row:
    """One measured value.

    Args:
        what: in a few words.
        value: the value, or None where it could not be measured: `note` says why.
        unit: "" or such as "dB"; "%" values are 0 to 100.
        low: lower end of the 95 % interval, None where there is none.
        high: its upper end.
        n: how many were counted.
        counted: what was counted: "clips", "windows", "pairs".
        beside: what the value is to be held against, by what it is of.
        goal: what it should reach, where that was said before it was measured.
        note: what else one must know.
    """

    what: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int = 0
    counted: str = "clips"
    beside: Mapping[str, float] = field(default_factory=dict)
    goal: Goal | None = None
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.value is not None and self.goal.is_reached(self.value)

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Self:
        """Read what `asdict` wrote."""
        goal = Goal(**read["goal"]) if read["goal"] else None
        return cls(**{**read, "goal": goal})


@dataclass(frozen=True)
class Result:
    """A figure's rows.

    Args:
        figure: its name.
        settings: everything the rows depend on besides the base; equal settings, equal rows.
        rows: what was measured.
        took_sec: how long it took.
    """

    figure: str
    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    took_sec: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave."""
        rows = tuple(Row.from_json(row) for row in read["rows"])
        return cls(read["figure"], read["settings"], rows, read["took_sec"])


def figure_row(what: str, figure: Figure, **more: Any) -> Row:
    """Make a row of a metric's figure."""
    interval = figure.interval
    return Row(
        what,
        figure.value,
        unit=figure.unit,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        n=figure.n,
        counted=figure.counted,
        **more,
    )


def share_row(what: str, hits: int, n: int, **more: Any) -> Row:
    """Make a row of a share in per cent, with Wilson's interval."""
    low, high = share_interval(hits, n)
    return Row(what, 100.0 * hits / n, unit="%", low=100 * low, high=100 * high, n=n, **more)


def mean_row(what: str, values: list[float], unit: str, **more: Any) -> Row:
    """Make a row of a mean with its bootstrap interval; no interval for a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Row(what, mean, unit=unit, n=len(values), **more)
    interval = mean_interval(values)
    return Row(what, mean, unit=unit, low=interval.low, high=interval.high, n=len(values), **more)


def marks_row(what: str, marks: list[float], **more: Any) -> Row:
    """Make a row, in per cent, of the mean of marks from 0 to 1, one a clip or a pair."""
    interval = graded_interval(marks, (0.0, 1.0))
    mean = 100.0 * math.fsum(marks) / len(marks)
    low, high = 100 * interval.low, 100 * interval.high
    return Row(what, mean, unit="%", low=low, high=high, n=len(marks), **more)


__all__ = [
    "HIGHER",
    "LOWER",
    "Goal",
    "Result",
    "Row",
    "figure_row",
    "marks_row",
    "mean_row",
    "share_row",
]
