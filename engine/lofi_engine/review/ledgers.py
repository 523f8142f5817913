"""The ledgers under review: read again whenever they change, kept as they were while broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lofi_engine.data.ledger import Entry, LedgerError, read_ledger
from lofi_engine.data.matching import Ledger, Match, Place
from lofi_runtime.atomic import read_json


@dataclass
class LedgerView:
    """One ledger and what it says of the tracks of all sources that name it.

    Args:
        path: the ledger's file.
        places: all files of all sources that name it.
    """

    path: Path
    places: tuple[Place, ...]
    fault: str = ""
    _stamp: tuple[int, int, int] | None = None
    _ledger: Ledger | None = None
    _rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read the file again if it changed; `fault` says what is wrong with it, "" for nothing."""
        try:
            status = self.path.stat()
        except OSError as error:
            self.fault, self._stamp = f"ledger {self.path.name}: {error.strerror}", None
            return
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            entries = read_ledger(self.path)
            content = read_json(self.path)
        except LedgerError as error:
            self.fault = "\n".join(error.problems)
        except (OSError, ValueError) as error:  # it changed between the two readings
            self.fault = f"ledger {self.path.name}: cannot be read: {error}"
        else:
            self.fault = ""
            self._ledger = Ledger(self.path, entries, self.places)
            self._rows = {str(row["filename"]).removeprefix("./"): row for row in content}
            self._stamp = stamp

    def match(self, place: Place) -> Match:
        """Give the entry that means a file, or why none does."""
        return self._ledger.find(place) if self._ledger is not None else Match()

    def row(self, entry: Entry) -> Mapping[str, Any]:
        """Give an entry with every key as it stands in the file."""
        return self._rows.get(entry.filename, {})
