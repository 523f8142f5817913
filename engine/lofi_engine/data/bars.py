"""Bars and histograms as SVG text, for pages that must open without a network or a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LABEL, _NUMBER = 720, 230, 150
_BAR, _STEP = 14, 22
_HEIGHT, _AXIS = 160, 24


@dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        label: what it stands for.
        value: its length.
        goal: where a mark is drawn; None for none.
        text: what is written behind it.
    """

    label: str
    value: float
    goal: float | None = None
    text: str = ""


def draw_bars(title: str, bars: Sequence[Bar]) -> str:
    """Draw bars below one another, to one scale. The same values give the same bytes."""
    longest = max((max(bar.value, bar.goal or 0.0) for bar in bars), default=0.0) or 1.0
    room = _WIDTH - _LABEL - _NUMBER
    parts = [_opening(title, _STEP * max(1, len(bars)) + 6)]
    for row, bar in enumerate(bars):
        top = row * _STEP + 4
        width = room * max(0.0, bar.value) / longest
        parts.append(
            f'<text x="{_LABEL - 8}" y="{top + 11}" text-anchor="end">'
            f"<title>{escape(bar.label)}</title>{_cut(bar.label)}</text>"
            f'<rect class="bar" x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}"/>'
        )
        if bar.goal is not None:
            at = _LABEL + room * bar.goal / longest
            parts.append(
                f'<line class="goal" x1="{at:.1f}" x2="{at:.1f}" y1="{top - 3}" '
                f'y2="{top + _BAR + 3}"/>'
            )
        end = _LABEL + room * max(bar.value, bar.goal or 0.0) / longest + 8
        parts.append(f'<text x="{end:.1f}" y="{top + 11}">{escape(bar.text)}</text>')
    return "".join([*parts, "</svg>"])


def draw_histogram(title: str, values: Sequence[float], edges: Sequence[float], unit: str) -> str:
    """Draw how many values lie between neighbouring edges; those outside count to the ends."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        at = sum(value >= edge for edge in edges[1:-1])
        counts[at] += 1
    most = max(counts, default=0) or 1
    wide = (_WIDTH - 20) / len(counts)
    parts = [_opening(title, _HEIGHT + _AXIS)]
    for at, count in enumerate(counts):
        high = (_HEIGHT - 20) * count / most
        left = 10 + at * wide
        parts.append(
            f'<rect class="bar" x="{left + 1:.1f}" y="{_HEIGHT - high:.1f}" '
            f'width="{wide - 2:.1f}" height="{high:.1f}"/>'
            f'<text x="{left + wide / 2:.1f}" y="{_HEIGHT - high - 4:.1f}" '
            f'text-anchor="middle">{count or ""}</text>'
            f'<text x="{left:.1f}" y="{_HEIGHT + 16}">{edges[at]:g}</text>'
        )
    parts.append(
        f'<text x="{_WIDTH - 4}" y="{_HEIGHT + 16}" text-anchor="end">{edges[-1]:g} {unit}</text>'
    )
    return "".join([*parts, "</svg>"])


def _opening(title: str, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title>"
    )


def _cut(label: str, length: int = 34) -> str:
    return escape(label if len(label) <= length else f"{label[: length - 1]}…")
