"""Finds each file's entry in a ledger, however many sources share that ledger.

An entry's `filename` is a path: from the source's folder, from the recipe's folder (as reports
name files), or from the ledger's own folder. A bare name is enough where one file of all the
ledger's sources is called so. What could mean two files licenses neither.
"""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lofi_engine.data.folder import printable
from lofi_engine.data.ledger import Entry

_SHOWN = 3


@dataclass(frozen=True)
class Place:
    """A file that a ledger may speak of.

    Args:
        path: where it is, absolute; a file that two sources hold has one path.
        relative: from its source's folder, with forward slashes.
        shown: as reports name it: the source's path as the recipe writes it, then `relative`.
    """

    path: Path
    relative: str
    shown: str

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return PurePosixPath(self.relative).name


@dataclass(frozen=True)
class Match:
    """What a ledger says of a file: an entry, or why none of them counts, or nothing."""

    entry: Entry | None = None
    refusal: str = ""


class Ledger:
    """The entries of one ledger, found by file.

    Args:
        path: the ledger's file.
        entries: one for each track.
        places: all files of all sources that name this ledger.
    """

    def __init__(self, path: Path, entries: Sequence[Entry], places: Collection[Place]) -> None:
        self.name = path.name
        self.size = len(entries)
        self._shown = {place.path: place.shown for place in places}
        self._found: dict[Path, list[Entry]] = defaultdict(list)
        self._unclear: dict[Path, str] = {}
        self._unused: list[str] = []
        by_path = _by_path(path.parent, places)
        bare = []
        for entry in entries:
            if "/" in entry.filename:
                self._take(entry, by_path.get(posixpath.normpath(entry.filename), frozenset()))
            else:
                bare.append(entry)
        claimed = frozenset(self._found) | frozenset(self._unclear)
        by_name = _grouped((place.name, place.path) for place in places)
        at_top = _grouped((place.relative, place.path) for place in places)
        for entry in bare:
            called = by_name.get(entry.filename, frozenset())
            top = at_top.get(entry.filename, frozenset())
            # "a.wav" and "deep/a.wav" may stand side by side, each with its own path.
            meant = top if len(top) == 1 and called - top <= claimed else called
            self._take(entry, meant, claimed)

    def find(self, place: Place) -> Match:
        """Give what the ledger says of a file."""
        if place.path in self._unclear:
            return Match(refusal=self._unclear[place.path])
        entries = self._found.get(place.path, [])
        if len(entries) > 1:
            names = " and ".join(f"'{entry.filename}'" for entry in entries[:_SHOWN])
            return Match(refusal=f"{len(entries)} entries in {self.name} mean it: {names}")
        return Match(entries[0] if entries else None)

    @property
    def unused(self) -> tuple[str, ...]:
        """The `filename`s that mean no file, sorted."""
        return tuple(sorted(self._unused))

    def warning(self) -> str:
        """Say which entries mean no file, in one line; "" when all do."""
        unused = self.unused
        if not unused:
            return ""
        first = ", ".join(f"'{name}'" for name in unused[:_SHOWN])
        more = ", ..." if len(unused) > _SHOWN else ""
        return f"{self.name}: {len(unused)} of {self.size} entries mean no file: {first}{more}"

    def _take(
        self, entry: Entry, files: frozenset[Path], claimed: frozenset[Path] = frozenset()
    ) -> None:
        if len(files) == 1:
            (file,) = files
            if file in claimed:  # its path stands in the ledger; the bare name is one too many
                self._unused.append(entry.filename)
            else:
                self._found[file].append(entry)
        elif files:
            shown = sorted(self._shown[file] for file in files)
            more = f" or {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
            could = " or ".join(f"'{name}'" for name in shown[:_SHOWN])
            refusal = (
                f"the entry '{entry.filename}' in {self.name} could mean {could}{more}; "
                "write its path there"
            )
            for file in files - claimed:
                self._unclear.setdefault(file, refusal)
        else:
            self._unused.append(entry.filename)


def _by_path(folder: Path, places: Iterable[Place]) -> Mapping[str, frozenset[Path]]:
    """Give the files by every way of writing their paths."""
    return _grouped(
        (posixpath.normpath(written), place.path)
        for place in places
        for written in (
            place.relative,
            place.shown,
            printable(place.path),
            printable(Path(os.path.relpath(place.path, folder))),
        )
    )


def _grouped(pairs: Iterable[tuple[str, Path]]) -> Mapping[str, frozenset[Path]]:
    groups: dict[str, set[Path]] = defaultdict(set)
    for key, path in pairs:
        groups[key].add(path)
    return {key: frozenset(paths) for key, paths in groups.items()}
