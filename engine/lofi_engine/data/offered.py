"""The files of a recipe's folders with what the ledgers say of each; nothing is decoded.

The one place that walks folders and holds ledgers against them: curating, reports and the review
see the same files under the same names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lofi_engine.data.folder import Found, printable, walk
from lofi_engine.data.ledger import Entry, read_ledger
from lofi_engine.data.matching import Ledger, Match, Place
from lofi_engine.recipe.model import Source


@dataclass(frozen=True)
class Folder:
    """A folder source as found.

    Args:
        source: as the recipe has it.
        label: its path as messages name it.
        files: each with its place, sorted by path.
        ledger: from the recipe's folder, as the first source that names it writes it; None without.
    """

    source: Source
    label: str
    files: tuple[tuple[Found, Place], ...]
    ledger: Path | None


@dataclass(frozen=True)
class Book:
    """A ledger held against the files of all folders that name it.

    Args:
        entries: all of them.
        ledger: finds each file's entry.
    """

    entries: tuple[Entry, ...]
    ledger: Ledger


@dataclass(frozen=True)
class Offered:
    """A file of a source.

    Args:
        file: as found; its `refusal` says why it is no track at all.
        place: where it is and how reports name it.
        ledger: the source's, as in `Folder`.
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
        entries: each ledger's, by its path as in `Folder`.
        unused: by the same path, the `filename`s that mean no file.
        absent: folders that are not there, as the recipe writes them.
    """

    files: tuple[Offered, ...]
    entries: Mapping[Path, tuple[Entry, ...]]
    unused: Mapping[Path, tuple[str, ...]]
    absent: tuple[str, ...] = ()


def open_folders(home: Path, sources: Sequence[Source]) -> tuple[Folder, ...]:
    """Look into every folder of a recipe's sources, in their order; ledgers are no files of them.

    Args:
        home: the folder the recipe lies in.
        sources: the recipe's; those of the synthesiser are passed over.

    Raises:
        StageError: a folder is not there or cannot be read.
    """
    written: dict[Path, Path] = {}
    for source in sources:
        if source.ledger is not None:
            written.setdefault(_true(home / source.ledger), home / source.ledger)
    return tuple(_open(home, source, written) for source in sources if source.path is not None)


def open_books(folders: Iterable[Folder]) -> Mapping[Path, Book]:
    """Read each ledger once and hold it against all folders that name it.

    Returns:
        The books by their ledgers' paths as in `Folder`.

    Raises:
        LedgerError: a ledger is missing or wrong.
    """
    places: dict[Path, list[Place]] = {}
    for folder in folders:
        if folder.ledger is not None:
            places.setdefault(folder.ledger, []).extend(place for _, place in folder.files)
    return {path: _book(path, listed) for path, listed in places.items()}


def offer(home: Path, sources: Sequence[Source]) -> Offer:
    """Look into every folder of a recipe's sources; an absent folder offers nothing.

    A ledger is read when a folder that names it is there.

    Args:
        home: the folder the recipe lies in.
        sources: the recipe's; those of the synthesiser are passed over.

    Raises:
        StageError: a folder cannot be read.
        LedgerError: a ledger is missing or wrong.
    """
    named = [source for source in sources if source.path is not None]
    there = [source for source in named if (home / (source.path or "")).exists()]
    folders = open_folders(home, there)
    books = open_books(folders)
    return Offer(
        files=tuple(_offered(folders, books)),
        entries={path: book.entries for path, book in books.items()},
        unused={path: book.ledger.unused for path, book in books.items()},
        absent=tuple(source.path or "" for source in named if source not in there),
    )


def _true(path: Path) -> Path:
    return Path(os.path.realpath(path))  # resolve() raises on links in a circle


def _open(home: Path, source: Source, written: Mapping[Path, Path]) -> Folder:
    path = Path(source.path or ".")
    # An absolute path would differ on every machine and say who made the model.
    label = printable(Path(path.name) if path.is_absolute() else path)
    ignored = frozenset(written)
    files = tuple((file, _place(file, label)) for file in walk(home / path, label, ignored))
    ledger = written[_true(home / source.ledger)] if source.ledger is not None else None
    return Folder(source, label, files, ledger)


def _place(file: Found, label: str) -> Place:
    whole = Path(os.path.abspath(file.path))  # noqa: PTH100 - lexical: a link is its own file
    return Place(whole, file.relative, PurePosixPath(label, file.relative).as_posix())


def _book(path: Path, places: Sequence[Place]) -> Book:
    entries = read_ledger(path)
    lexical = Path(os.path.abspath(path))  # noqa: PTH100 - as its entries are written
    return Book(entries, Ledger(lexical, entries, places))


def _offered(folders: Sequence[Folder], books: Mapping[Path, Book]) -> Iterator[Offered]:
    for folder in folders:
        book = books[folder.ledger].ledger if folder.ledger else None
        for file, place in folder.files:
            yield Offered(file, place, folder.ledger, book.find(place) if book else Match())
