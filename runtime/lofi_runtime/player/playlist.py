"""What is played, and what comes after it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.track import Track

PLAYLIST_LIMIT = 1000


@dataclass(frozen=True)
class Entry:
    """One play of a track.

    Args:
        number: of this play; no two have the same.
        track_id: the track.
        path: its file.
        duration_sec: how long it is.
        prompt: what it was made of.
    """

    number: int
    track_id: str
    path: Path
    duration_sec: float
    prompt: str

    def to_item(self) -> dict[str, Any]:
        """Return it as the child takes it."""
        return {"number": self.number, "path": str(self.path)}

    def to_wire(self) -> dict[str, Any]:
        """Return it as `playlist_get` tells it."""
        return {
            "track_id": self.track_id,
            "duration_sec": self.duration_sec,
            "prompt": self.prompt,
        }


class Playlist:
    """Tracks that play one after another; each leaves the list when it begins."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[Entry]:
        """What waits, the next one first."""
        return list(self._entries)

    def make_entry(self, track: Track, track_id: str) -> Entry:
        """Return a play of a track, which is not in the list."""
        sidecar = track.sidecar
        return Entry(
            next(self._numbers),
            track_id,
            track.path,
            sidecar["duration_sec"],
            sidecar["spec"]["prompt"],
        )

    def renumber(self, entry: Entry) -> Entry:
        """Return another play of the same track."""
        return replace(entry, number=next(self._numbers))

    def add(self, entry: Entry) -> None:
        """Put a play at the end.

        Raises:
            RpcError: QUEUE_FULL.
        """
        if len(self._entries) >= PLAYLIST_LIMIT:
            raise RpcError(
                "QUEUE_FULL",
                f"the playlist is full: {PLAYLIST_LIMIT} tracks wait already",
                hint="remove some or clear it",
            )
        self._entries.append(entry)

    def take_next(self) -> Entry | None:
        """Remove and return what comes next."""
        return self._entries.pop(0) if self._entries else None

    def take(self, number: int) -> Entry | None:
        """Remove and return the play of that number."""
        for entry in self._entries:
            if entry.number == number:
                self._entries.remove(entry)
                return entry
        return None

    def remove(self, track_id: str) -> None:
        """Take every waiting play of a track out; one that is not in it changes nothing."""
        self._entries = [entry for entry in self._entries if entry.track_id != track_id]

    def clear(self) -> None:
        """Take everything out."""
        self._entries.clear()
