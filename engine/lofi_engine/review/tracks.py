"""Lists the tracks of a recipe's folders for review; clients name files by number only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.audio.decode import AUDIO_SUFFIXES
from lofi_engine.data.folder import Found
from lofi_engine.data.matching import Place
from lofi_engine.data.offered import open_folders
from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Recipe


@dataclass(frozen=True)
class Track:
    """A file to hear.

    Args:
        number: its place in the list, from 0; what clients call it.
        place: where it is and how reports and ledgers name it.
        ledger: the file its row is in; None where its source names none.
        ledger_name: the ledger as the recipe writes it, "" for none.
        fault: what is wrong with it or its sidecars before it is opened, "" for nothing.
        sidecars: the texts beside it, by kind.
    """

    number: int
    place: Place
    ledger: Path | None
    ledger_name: str
    fault: str
    sidecars: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Listing:
    """Everything there is to review.

    Args:
        tracks: in the order of the sources, then by path.
        places: all files of all sources that name a ledger, by the ledger.
    """

    tracks: tuple[Track, ...]
    places: Mapping[Path, tuple[Place, ...]]


def list_tracks(recipe: Recipe) -> Listing:
    """List the audio files of a recipe's folders; nothing is decoded.

    A file that two sources hold is listed once.

    Raises:
        StageError: a folder is missing, none holds audio, or there is no folder to review.
    """
    sources = [source for source in recipe.dataset.sources if source.path is not None]
    if not sources:
        raise StageError(
            "dataset.sources: there is no folder of tracks to review, only synthesised ones",
            hint="add one: - {path: raw, ledger: metadata/sources.json}",
        )
    tracks: list[Track] = []
    places: dict[Path, tuple[Place, ...]] = {}
    known: set[Path] = set()
    for folder in open_folders(recipe.home, sources):
        if folder.ledger is not None:
            listed = (place for _, place in folder.files)
            places[folder.ledger] = (*places.get(folder.ledger, ()), *listed)
        for file, place in folder.files:
            if place.path in known or not _audible(file):
                continue
            known.add(place.path)
            tracks.append(
                Track(
                    number=len(tracks),
                    place=place,
                    ledger=folder.ledger,
                    ledger_name=folder.source.ledger or "",
                    fault=file.refusal,
                    sidecars=file.sidecars,
                )
            )
    if not tracks:
        raise StageError(
            "dataset.sources: none of the files there is audio by its name",
            hint=f"audio is {', '.join(suffix[1:] for suffix in AUDIO_SUFFIXES)}",
        )
    return Listing(tuple(tracks), places)


def _audible(file: Found) -> bool:
    # os.path, not pathlib: it answers False where a folder may be listed but not entered.
    return file.path.suffix.lower() in AUDIO_SUFFIXES and os.path.isfile(file.path)  # noqa: PTH113
