"""Figures as plain JSON values, for `measure.json` and the manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lofi_engine.metrics.document import figure_row, verdict
from lofi_engine.metrics.figures import Difference, Figure

DIGITS = 6
"""What two machines agree on."""
_SAID = frozenset({"metric", "judged"})


def rounded(value: Any) -> Any:
    """Round every float in JSON values to `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(key): rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return value


def figure_record(figure: Figure) -> dict[str, Any]:
    """Give a figure with everything one must know to trust it; what is empty is left out.

    Whose it is and of which metric is left out too: it stands under both names.
    """
    row = figure_row(figure)
    kept = {key: part for key, part in row.items() if part not in ("", {}) and key not in _SAID}
    found: dict[str, Any] = rounded(kept)
    return found


def difference_record(difference: Difference) -> dict[str, Any]:
    """Give a variant's figure, float32's, and how they differ.

    `change.relative` and `change.relative_interval` are over float32's figure; None where that is
    zero, which nothing is a share of.
    """
    relative = relative_interval(difference)
    change = {
        "value": difference.value,
        "interval": dict(vars(difference.interval)),
        "relative": difference.relative,
        "relative_interval": None if relative is None else list(relative),
        "n": difference.n,
        "counted": "pairs of clips",
        "verdict": verdict(difference),
    }
    return {
        **figure_record(difference.first),
        "float32": figure_record(difference.second),
        "change": rounded(change),
    }


def relative_interval(difference: Difference) -> tuple[float, float] | None:
    """Give the ends of a difference's interval over the second figure's size; None where zero."""
    size = abs(difference.second.value)
    if not size:
        return None
    return difference.interval.low / size, difference.interval.high / size


def is_beyond_chance(difference: Difference) -> bool:
    """Say whether the interval leaves out zero, on either side."""
    return difference.interval.low > 0 or difference.interval.high < 0
