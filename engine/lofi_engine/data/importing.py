"""Adds a ledger row for every track without one; the terms are left for a human to name.

A row that was added has the licence "unknown", which every policy refuses by name. Rows that are
there keep every byte: new ones are written behind them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lofi_engine.data.folder import printable
from lofi_engine.data.layout import LEDGER_PLACE, RAW_FOLDERS
from lofi_engine.data.ledger_edit import append_entries
from lofi_engine.data.license_names import UNKNOWN_LICENSE
from lofi_engine.data.offered import Offer, Offered, offer
from lofi_engine.recipe.model import Source
from lofi_runtime.errors import LofiError


@dataclass(frozen=True)
class Imported:
    """What an import found and did.

    Args:
        added: the new rows, by ledger.
        known: how many files had a row.
        unclear: files whose row cannot be told, with the reason.
        passed_over: files that are no tracks, with the reason.
        missing: rows whose file is not there, by ledger.
    """

    added: Mapping[Path, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    known: int = 0
    unclear: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)


def folder_sources(folder: Path) -> tuple[Source, ...]:
    """Give the sources of a folder made by `data init`: those of its raw folders that are there.

    Raises:
        LofiError: it has none of them.
    """
    ledger = LEDGER_PLACE.as_posix()
    found = tuple(
        Source(path=f"raw/{name}", ledger=ledger, synth=None)
        for name in RAW_FOLDERS
        if (folder / "raw" / name).is_dir()
    )
    if not found:
        raise LofiError(
            f"{folder}: none of raw/{', raw/'.join(RAW_FOLDERS)} is there",
            hint=f"make them: lofi-recipe data init {folder}",
        )
    return found


def import_tracks(
    home: Path, sources: Sequence[Source], *, kind: str = "", dry_run: bool = False
) -> Imported:
    """Add the missing rows to the ledgers of a recipe's or a folder's sources.

    Args:
        home: where the sources' paths start.
        sources: folders with their ledgers; the synthesiser's are passed over.
        kind: how tracks were acquired whose path does not tell.
        dry_run: only say what would be added.

    Raises:
        LofiError: a folder is not there, a source names no ledger, or a track's path and `kind` do
            not say how it was acquired; nothing was written.
        LedgerError: a ledger cannot be read, locked or written; it is as it was.
    """
    named = _with_ledgers(sources)
    found = offer(home, named)
    if found.absent:
        raise LofiError(
            f"the folder '{found.absent[0]}' is not there",
            hint="make it (lofi-recipe data init FOLDER) or mend the path in the recipe",
        )
    fresh: dict[Path, list[Offered]] = {}
    for offered in found.files:
        told = offered.file.refusal or offered.match.entry or offered.match.refusal
        if offered.ledger is not None and not told:
            fresh.setdefault(offered.ledger, []).append(offered)
    added = {ledger: _rows(ledger, files, kind) for ledger, files in fresh.items()}
    if not dry_run:
        for ledger, rows in added.items():
            append_entries(ledger, rows)
    return _imported(found, added)


def _with_ledgers(sources: Sequence[Source]) -> tuple[Source, ...]:
    for number, source in enumerate(sources):
        if source.path is not None and source.ledger is None:
            raise LofiError(
                f"dataset.sources[{number}]: '{source.path}' has no ledger to add rows to",
                hint="name one in the recipe, such as ledger: metadata/sources.json",
            )
    return tuple(source for source in sources if source.path is not None)


def _imported(found: Offer, added: Mapping[Path, tuple[Mapping[str, Any], ...]]) -> Imported:
    return Imported(
        added=added,
        known=sum(offered.match.entry is not None for offered in found.files),
        unclear={
            offered.place.shown: offered.match.refusal
            for offered in found.files
            if offered.match.refusal and not offered.file.refusal
        },
        passed_over={
            offered.place.shown: offered.file.refusal
            for offered in found.files
            if offered.file.refusal
        },
        missing={ledger: names for ledger, names in found.unused.items() if names},
    )


def _rows(ledger: Path, files: Iterable[Offered], kind: str) -> tuple[Mapping[str, Any], ...]:
    # From the ledger's own folder: right for every recipe that names it, wherever that lies.
    start = Path(os.path.abspath(ledger)).parent  # noqa: PTH100 - lexical, as matching is
    rows: dict[str, Mapping[str, Any]] = {}
    for offered in files:
        filename = printable(Path(os.path.relpath(offered.place.path, start)))
        source = {"type": _type_of(offered, kind), "license": UNKNOWN_LICENSE}
        rows[filename] = {"filename": filename, "source": source, "style_ids": []}
    return tuple(rows.values())


def _type_of(offered: Offered, kind: str) -> str:
    parts = PurePosixPath(offered.place.shown).parts
    told = next((RAW_FOLDERS[part] for part in reversed(parts) if part in RAW_FOLDERS), kind)
    if not told:
        raise LofiError(
            f"{offered.place.shown}: its path does not say how it was acquired (none of "
            f"{', '.join(RAW_FOLDERS)}/)",
            hint="say it with --type, such as --type own",
        )
    return told
