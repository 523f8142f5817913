"""The files of a recipe's folders with what the ledgers say of each; nothing is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lofi_engine.data.folder import Found, printable, walk
from lofi_engine.data.ledger import Entry, read_ledger
from lofi_engine.data.matching import Ledger, Match, Place
from lofi_engine.recipe.model import Source


@dataclass(frozen=True)
class Offered:
    """A file of a source.

    Args:
        file: as found; its `refusal` says why it is no track at all.
        place: where it is and how reports name it.
        ledger: the source's ledger, None without.
        match: what that ledger says of it.
    """

    file: Found
    place: Place
    ledger: Path | None
    match: Match


@dataclass(frozen=True)
class Offer:
    """All files of all folders, and the entries nobody claimed.

    Args:
        files: in the sources' order, then by path.
        entries: each ledger's, by its path as the recipe writes it (from the recipe's folder).
        unused: by the same path, the `filename`s that mean no file.
        absent: folders that are not there, as the recipe writes them.
    """

    files: tuple[Offered, ...]
    entries: Mapping[Path, tuple[Entry, ...]]
    unused: Mapping[Path, tuple[str, ...]]
    absent: tuple[str, ...] = ()


def offer(home: Path, sources: Sequence[Source]) -> Offer:
    """Look into every folder of a recipe's sources; an empty or absent folder offers nothing.

    A ledger is read when a folder that names it is there.

    Args:
        home: the folder the recipe lies in.
        sources: the recipe's; those of the synthesiser are passed over.

    Raises:
        StageError: a folder cannot be read.
        LedgerError: a ledger is missing or wrong.
    """
    named = [source for source in sources if source.path is not None]
    absent = tuple(
        source.path or "" for source in named if not (home / (source.path or "")).exists()
    )
    folders = [source for source in named if source.path not in absent]
    ledgers = {
        _true(home / source.ledger): home / source.ledger for source in folders if source.ledger
    }
    found = [(source, tuple(_places(home, source, frozenset(ledgers)))) for source in folders]
    entries = {true: read_ledger(path) for true, path in ledgers.items()}
    books = {
        true: Ledger(
            Path(os.path.abspath(path)),  # noqa: PTH100 - lexical, as its entries are written
            entries[true],
            [place for source, files in found if _is(home, source, true) for _, place in files],
        )
        for true, path in ledgers.items()
    }
    return Offer(
        files=tuple(_offered(home, found, books)),
        entries={ledgers[true]: read for true, read in entries.items()},
        unused={ledgers[true]: book.unused for true, book in books.items()},
        absent=absent,
    )


def _places(home: Path, source: Source, ignored: frozenset[Path]) -> Iterator[tuple[Found, Place]]:
    path = Path(source.path or ".")
    label = printable(Path(path.name) if path.is_absolute() else path)
    folder = home / path
    if folder.is_dir() and _is_empty(folder):
        return
    for file in walk(folder, label, ignored):
        whole = Path(os.path.abspath(file.path))  # noqa: PTH100 - a link is its own file
        shown = PurePosixPath(label, file.relative).as_posix()
        yield file, Place(whole, file.relative, shown)


def _offered(
    home: Path,
    found: Sequence[tuple[Source, Sequence[tuple[Found, Place]]]],
    books: Mapping[Path, Ledger],
) -> Iterator[Offered]:
    for source, files in found:
        ledger = home / source.ledger if source.ledger else None
        book = books[_true(ledger)] if ledger else None
        for file, place in files:
            yield Offered(file, place, ledger, book.find(place) if book else Match())


def _is(home: Path, source: Source, true: Path) -> bool:
    return source.ledger is not None and _true(home / source.ledger) == true


def _is_empty(folder: Path) -> bool:
    """Whether a folder that can be read holds nothing but folders and hidden files."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return False
    return not any(not name.startswith(".") for _, _, files in os.walk(folder) for name in files)


def _true(path: Path) -> Path:
    return Path(os.path.realpath(path))  # resolve() raises on links in a circle
