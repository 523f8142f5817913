"""Draws figures and their intervals on a common axis, as SVG that takes its colours from the page.

A dot is the figure, the bar its interval, the small marks below it the clips one by one.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

WIDTH = 460
_LEFT, _RIGHT = 14, 14
_ROW, _AXIS = 30, 22
_MOST_MARKS = 400


@dataclass(frozen=True)
class Bar:
    """One figure to draw.

    Args:
        value: the figure.
        low: the lower end of its interval; None where it has none.
        high: the upper end.
        kind: the set it is of, as a CSS class: "judged", "against" or "difference".
        title: what is said on hover.
        marks: the clips' values by name.
    """

    value: float
    low: float | None
    high: float | None
    kind: str
    title: str
    marks: Mapping[str, float] = field(default_factory=dict)


def draw_bars(bars: Sequence[Bar], label: str, *, zero: bool = False) -> str:
    """Draw bars below each other.

    Args:
        bars: at least one.
        label: says what is drawn to those who cannot see it.
        zero: whether the axis reaches to zero and a line stands there.

    Returns:
        An `svg` element.
    """
    scale = _Scale.around([*_values(bars), *((0.0,) if zero else ())])
    height = _ROW * len(bars) + _AXIS
    parts = [
        f'<svg class="bars" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(label)}">'
    ]
    parts += _axis(scale, height, zero)
    for row, bar in enumerate(bars):
        parts += _bar(bar, scale, _ROW * row + _ROW / 2)
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float]) -> _Scale:
        low, high = min(values), max(values)
        room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        return cls(low - room, high + room)

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 2)

    def ticks(self) -> Iterator[float]:
        """Give round numbers between the ends, four or so."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 3))
        step *= max(m for m in (1, 2, 5) if m == 1 or m * step <= (self.high - self.low) / 3)
        tick = math.ceil(self.low / step)
        while tick * step <= self.high:
            yield tick * step
            tick += 1


def _values(bars: Sequence[Bar]) -> Iterator[float]:
    for bar in bars:
        yield bar.value
        yield from (end for end in (bar.low, bar.high) if end is not None)
        yield from bar.marks.values()


def _axis(scale: _Scale, height: int, zero: bool) -> Iterator[str]:
    base = height - _AXIS
    yield f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>'
    for tick in scale.ticks():
        x = scale.place(tick)
        yield f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="{base + 4}"/>'
        yield f'<text x="{x}" y="{base + 17}" text-anchor="middle">{tick:.4g}</text>'
    if zero:
        x = scale.place(0.0)
        yield f'<line class="zero" x1="{x}" x2="{x}" y1="0" y2="{base}"/>'


def _bar(bar: Bar, scale: _Scale, y: float) -> Iterator[str]:
    yield f'<g class="{bar.kind}"><title>{html.escape(bar.title)}</title>'
    if bar.low is not None and bar.high is not None:
        low, high = scale.place(bar.low), scale.place(bar.high)
        yield f'<line class="interval" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
        for end in (low, high):
            yield f'<line class="end" x1="{end}" x2="{end}" y1="{y - 5}" y2="{y + 5}"/>'
    yield f'<circle class="value" cx="{scale.place(bar.value)}" cy="{y}" r="5"/></g>'
    step = math.ceil(len(bar.marks) / _MOST_MARKS) or 1
    for name, value in sorted(bar.marks.items())[::step]:
        x = scale.place(value)
        said = html.escape(f"{name}: {value:.4g}")
        yield (
            f'<line class="mark {bar.kind}" x1="{x}" x2="{x}" y1="{y + 8}" y2="{y + 14}">'
            f"<title>{said}</title></line>"
        )
