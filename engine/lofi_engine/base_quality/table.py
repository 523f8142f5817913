"""`quality.md`: the figures as a table, for a base's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lofi_engine.base_quality.document import Document
from lofi_engine.base_quality.figures import FIGURES
from lofi_engine.base_quality.results import LOWER, Goal, Row
from lofi_engine.markdown import plain

FILE = "quality.md"
_HEAD = "| figure | value | 95 % interval | beside | goal | n |\n|---|---|---|---|---|---|"
_NONE = "–"


def write_table(document: Document) -> str:
    """Write the page: a table of every figure, with seeds and n."""
    return f"# Quality of {plain(document.name)}\n\n" + "\n".join(_body(document, "##")) + "\n"


def write_section(document: Document) -> str:
    """Write the same for a card, one heading lower."""
    return "## Quality\n\n" + "\n".join(_body(document, "###"))


def _body(document: Document, level: str) -> list[str]:
    lines = [
        "Measured on pieces that nothing was trained on. Intervals are 95 % intervals; "
        "clips are drawn, not windows.",
        "",
        f"Base: {plain(document.base)}.",
        "",
        f"Settings: {_settings(document.asked)}.",
        "",
        f"Made by `{document.command}`.",
    ]
    for name, title in FIGURES.items():
        if name in document.results:
            lines += ["", f"{level} {title}", "", *_section(document, name)]
    return lines


def _section(document: Document, name: str) -> list[str]:
    result = document.results[name]
    own = {key: value for key, value in result.settings.items() if key not in document.asked}
    lines = [f"With {_settings(own)}.", ""] if own else []
    return [*lines, _HEAD, *(_line(row) for row in result.rows)]


def _line(row: Row) -> str:
    cells = (
        plain(row.what) + (f" ({plain(row.note)})" if row.note else ""),
        _NONE if row.value is None else _number(row.value, row.unit),
        _NONE if row.low is None or row.high is None else _interval(row.low, row.high),
        ", ".join(f"{plain(of)} {_number(value, row.unit)}" for of, value in row.beside.items()),
        _goal(row),
        f"{row.n} {row.counted}" if row.n else "",
    )
    return f"| {' | '.join(cells)} |"


def _goal(row: Row) -> str:
    goal: Goal | None = row.goal
    if goal is None:
        return ""
    most = "at most" if goal.better == LOWER else "at least"
    return f"{most} {_number(goal.bound, row.unit)}: {'reached' if row.is_reached else 'missed'}"


def _number(value: float, unit: str = "") -> str:
    if unit == "%":
        return f"{value:.0f} %"
    return f"{value:.3g} {unit}".rstrip()


def _interval(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}"


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_setting(value)}" for key, value in values.items())


def _setting(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else plain(str(value))
