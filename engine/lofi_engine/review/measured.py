"""What the last finished curation measured of each track, if there was one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from lofi_engine.artifact import RECORD_NAME
from lofi_engine.data.matching import Place
from lofi_engine.data.rows import Row, read_rows
from lofi_engine.recipe.model import Recipe

_SHOWN = (
    "status", "reason", "measurements", "quality_score", "score_parts", "duplicate_group",
    "duration_sec", "notes",
)  # fmt: skip


class Measured:
    """The rows of the newest curate artifact of a recipe, by file.

    Writing a review changes the ledger and with it the curate stage's key, so the newest artifact
    counts, not the planned one: what was measured of a file holds until the file changes.

    Args:
        recipe: the recipe.
    """

    def __init__(self, recipe: Recipe) -> None:
        from lofi_engine.run import runs_folder

        self._time = 0.0
        self._rows: dict[str, Row] = {}
        records = runs_folder(recipe).glob(f"curate/[!.]*/{RECORD_NAME}")
        for time, folder in sorted(((_time(path), path.parent) for path in records), reverse=True):
            rows = _rows(folder)
            if rows is not None:
                self._time, self._rows = time, rows
                break

    def of(self, place: Place) -> dict[str, Any] | None:
        """Give what is worth showing of a track's row; None where it was never curated.

        `outdated` says that the file changed since.
        """
        row = self._rows.get(place.shown)
        if row is None:
            return None
        values = asdict(row)
        shown = {key: values[key] for key in _SHOWN if values.get(key) not in ("", (), {}, None)}
        return {**shown, "outdated": _time(place.path) > self._time}


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _rows(folder: Path) -> dict[str, Row] | None:
    """Read an artifact's rows; None where they are damaged or of another version."""
    try:
        return {row.source: row for row in read_rows(folder)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
