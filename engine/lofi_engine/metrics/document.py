"""What a measurement found as one JSON document, for programs and for the page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.figures import HIGHER, LOWER, Difference, Figure
from lofi_engine.metrics.folder import ClipFolder, Extent
from lofi_engine.metrics.scoring import Score
from lofi_runtime.version import VERSION

FORMAT = 1
WORSE, BETTER, NO_DIFFERENCE = "worse", "better", "no difference beyond chance"


@dataclass(frozen=True)
class Measured:
    """A set as it was measured.

    Args:
        role: "judged", "against" or "reference".
        folder: the set.
        extents: each clip's format and length.
    """

    role: str
    folder: ClipFolder
    extents: Mapping[str, Extent]

    @property
    def duration_sec(self) -> float:
        """How long all clips are together."""
        return math.fsum(extent.duration_sec for extent in self.extents.values())

    @property
    def format(self) -> SoundFormat:
        """The one format all clips have."""
        return next(iter(self.extents.values())).format


def as_document(
    sets: Sequence[Measured],
    scores: Sequence[Score],
    left_out: Mapping[str, str],
    *,
    seed: int,
    converted: bool,
) -> dict[str, Any]:
    """Put everything in one document.

    Args:
        sets: judged first.
        scores: of the metrics that ran, in the order asked for.
        left_out: why the others did not, by name.
        seed: of what was drawn.
        converted: whether the sets were brought to one format.

    Returns:
        Plain JSON values in a stable order; `docs/metrics.md` describes them.
    """
    return {
        "format": FORMAT,
        "made_with": f"lofi-recipe {VERSION}",
        "seed": seed,
        "sets": [_set(one, converted) for one in sets],
        "figures": [figure_row(one) for score in scores for one in score.figures],
        "differences": [difference_row(one) for score in scores for one in score.differences],
        "notes": [{"metric": one.metric, "note": one.note} for one in scores if one.note],
        "refused": [{"metric": one.metric, "reason": one.refused} for one in scores if one.refused],
        "left_out": [{"metric": name, "reason": reason} for name, reason in left_out.items()],
    }


def figure_row(figure: Figure) -> dict[str, Any]:
    """Give a figure as plain JSON values."""
    row: dict[str, Any] = plain(dataclasses.asdict(figure))
    row["each"] = dict(sorted(row["each"].items()))
    return row


def difference_row(difference: Difference) -> dict[str, Any]:
    """Give a difference as plain JSON values, with a verdict in words."""
    row: dict[str, Any] = plain(dataclasses.asdict(difference))
    first, second = figure_row(difference.first), figure_row(difference.second)
    return row | {"verdict": verdict(difference), "first": first, "second": second}


def verdict(difference: Difference) -> str:
    """Say whether the judged set is better or worse by more than chance; "" where neither is."""
    interval, better = difference.interval, difference.first.better
    if interval.low <= 0 <= interval.high:
        return NO_DIFFERENCE
    if better not in (LOWER, HIGHER):
        return ""
    return WORSE if difference.is_worse else BETTER


def plain(value: Any) -> Any:
    """Give JSON values: tuples as lists, numbers of NumPy as numbers, what is no number as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(part) for part in parts]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _set(measured: Measured, converted: bool) -> dict[str, Any]:
    folder = measured.folder
    return {
        "role": measured.role,
        "label": folder.label,
        "clips": len(folder.names),
        "duration_sec": round(measured.duration_sec, 3),
        "sample_rate": measured.format.sample_rate,
        "channels": measured.format.channels,
        "converted": converted,
        "hash": folder.content_hash(),
    }
