"""The state of a review: what each track's ledger row says, changes to it, and undoing them.

Everything lives in the ledgers; what is kept here is only what `undo` needs. Every answer is read
from the ledgers as they are now, so that a ledger may be edited by hand meanwhile.
"""

from __future__ import annotations

import datetime
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lofi_engine.data.ledger import LedgerError
from lofi_engine.data.ledger_edit import LedgerChangedError, update_entry
from lofi_engine.data.license import judge
from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Recipe
from lofi_engine.review.ledgers import LedgerView
from lofi_engine.review.measured import Measured
from lofi_engine.review.tracks import Listing, Track
from lofi_engine.review.verdicts import (
    ACCEPTED,
    OPEN,
    REJECTED,
    ledger_changes,
    tags_and_all,
    verdict,
    vocabulary,
)
from lofi_engine.styles.source import styles_source
from lofi_runtime.styles.taxonomy import load_styles

NO_ROW = "no row"


@dataclass(frozen=True)
class _Change:
    """One change as it was written, for undoing it."""

    number: int
    filename: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class Review:
    """The tracks of a recipe under review.

    Args:
        recipe: the recipe.
        listing: its tracks.
        measured: what curating found in them.
        today: gives the date of a review.

    Raises:
        LedgerError: a ledger is missing or wrong; while reviewing, that is only told.
        StyleError: the recipe's styles are wrong.
    """

    def __init__(
        self,
        recipe: Recipe,
        listing: Listing,
        measured: Measured,
        today: Callable[[], datetime.date] = datetime.date.today,
    ) -> None:
        self._recipe = recipe
        self.tracks = listing.tracks
        self._views = {path: LedgerView(path, places) for path, places in listing.places.items()}
        self._measured = measured
        self._today = today
        self._styles = load_styles(styles_source(recipe).folder(recipe.home))
        self._undo: list[_Change] = []
        self._lock = threading.RLock()
        self._refresh()
        if faults := [view.fault for view in self._views.values() if view.fault]:
            raise LedgerError(faults)

    def overview(self) -> dict[str, Any]:
        """Give the list of tracks with what is reviewed, and the words that may be used."""
        with self._lock:
            self._refresh()
            return {
                "recipe": self._recipe.name,
                "tracks": [self._brief(track) for track in self.tracks],
                "first": self._first_open(),
                "styles": [
                    {"id": style.id, "name": style.name, "group": style.group}
                    for style in self._styles.values()
                ],
                "tags": list(vocabulary(self._styles)),
                **self._standing(),
            }

    def detail(self, number: int) -> dict[str, Any]:
        """Give all there is to show of one track.

        Raises:
            StageError: there is no such track.
        """
        with self._lock:
            self._refresh()
            track = self._track(number)
            row, why = self._row(track)
            return {
                **self._brief(track),
                "row": dict(row) if row is not None else None,
                "why": why,
                "ledger": track.ledger_name,
                "gate": self._gate(track) if row is not None else "",
                "fault": track.fault,
                "sidecars": dict(track.sidecars),
                "measured": self._measured.of(track.place),
            }

    def change(
        self, number: int, wanted: Mapping[str, Any], seen: Mapping[str, Any] | None = None
    ) -> None:
        """Write what a listener did into the track's row, at once.

        Args:
            number: the track's.
            wanted: see `verdicts.ledger_changes`.
            seen: the row's values the listener looked at, None for absent ones.

        Raises:
            LedgerChangedError: the row says something else by now; nothing was written.
            LedgerError: the ledger is wrong, was made wrong, or cannot be written.
            StageError: no such track, no row to write to, or what is wanted is not allowed.
            StyleError: an unknown style.
        """
        with self._lock:
            self._refresh()
            track = self._track(number)
            row, why = self._row(track)
            if row is None or track.ledger is None:
                raise StageError(why)
            changes = ledger_changes(row, wanted, self._styles, self._today())
            filename = str(row["filename"]).removeprefix("./")
            # What is replaced must be what the changes were made from.
            basis = {key: row.get(key) for key in changes} | dict(seen or {})
            before = update_entry(track.ledger, filename, changes, seen=basis)
            if before != changes:
                self._undo.append(_Change(number, filename, before, changes))

    def undo(self) -> int | None:
        """Take the last change back; give its track's number, None where there is none left.

        Raises:
            LedgerChangedError: the row was edited since; the change can no longer be undone.
            LedgerError: as in `change`; undoing may be tried again.
        """
        with self._lock:
            if not self._undo:
                return None
            last = self._undo[-1]
            ledger = self.tracks[last.number].ledger
            if ledger is not None:
                try:
                    update_entry(ledger, last.filename, last.before, seen=last.after)
                except LedgerChangedError:
                    self._undo.pop()
                    raise
            self._undo.pop()
            return last.number

    def summary(self) -> dict[str, Any]:
        """Give what is reviewed, for people and programs."""
        with self._lock:
            self._refresh()
            briefs = [self._brief(track) for track in self.tracks]
            scores = [brief["score"] for brief in briefs if brief["score"] is not None]
            standing = self._standing()
            return {
                "recipe": self._recipe.name,
                **standing["counts"],
                "scored": len(scores),
                "mean_score": round(sum(scores) / len(scores), 1) if scores else None,
                "faults": standing["faults"],
                "review": [
                    {key: brief[key] for key in ("name", "status", "score", "style_ids", "tags")}
                    for brief in briefs
                ],
            }

    def path(self, number: int) -> Path:
        """Give a track's file.

        Raises:
            StageError: there is no such track.
        """
        return self._track(number).place.path

    def _refresh(self) -> None:
        for view in self._views.values():
            view.refresh()

    def _track(self, number: int) -> Track:
        if not 0 <= number < len(self.tracks):
            raise StageError(f"there is no track {number}")
        return self.tracks[number]

    def _row(self, track: Track) -> tuple[Mapping[str, Any] | None, str]:
        """Give a track's row, or None and why it has none and what to do."""
        if track.ledger is None:
            return None, (
                "its source in the recipe names no ledger, so there is nowhere to write; add "
                "'ledger: metadata/sources.json' there and make rows with lofi-recipe data import"
            )
        match = self._views[track.ledger].match(track.place)
        if match.entry is not None:
            return self._views[track.ledger].row(match.entry), ""
        if match.refusal:
            return None, match.refusal
        return None, (
            f"{track.ledger_name} has no row for it, and only you know its artist and licence; "
            "make one with lofi-recipe data import, or write it there"
        )

    def _brief(self, track: Track) -> dict[str, Any]:
        row, _ = self._row(track)
        known: Mapping[str, Any] = row if row is not None else {}
        return {
            "number": track.number,
            "name": track.place.shown,
            "status": NO_ROW if row is None else verdict(known),
            "score": known.get("quality_score"),
            "style_ids": list(known.get("style_ids", ())),
            "tags": list(tags_and_all(known).get("tags", ())),
        }

    def _gate(self, track: Track) -> str:
        """Say what keeps a track out whatever the listener says of it."""
        entry = self._views[track.ledger].match(track.place).entry if track.ledger else None
        if entry is None:
            return ""
        return judge(
            replace(entry, review_accepted=None),
            self._recipe.dataset.licenses,
            track.ledger_name,
            self._recipe.publish.license,
        ).refusal

    def _first_open(self) -> int:
        statuses = [self._brief(track)["status"] for track in self.tracks]
        for wanted in (OPEN, NO_ROW):
            if wanted in statuses:
                return statuses.index(wanted)
        return 0

    def _standing(self) -> dict[str, Any]:
        found = Counter(self._brief(track)["status"] for track in self.tracks)
        return {
            "counts": {
                "tracks": len(self.tracks),
                "reviewed": found[ACCEPTED] + found[REJECTED],
                "accepted": found[ACCEPTED],
                "rejected": found[REJECTED],
                "open": found[OPEN],
                "without_row": found[NO_ROW],
            },
            "faults": [view.fault for view in self._views.values() if view.fault],
            "undo": len(self._undo),
        }
