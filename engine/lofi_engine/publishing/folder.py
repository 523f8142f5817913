"""Publishes into a folder: whole bundles appear at once, nobody else's files are touched.

`index.json` says what was published and with which hash; a file that is not in it was put there by
someone else and is never changed or deleted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.hashing import content_hash

INDEX_NAME = "index.json"
INDEX_FORMAT = 1


@dataclass(frozen=True)
class Parcel:
    """What one release puts into the folder.

    Args:
        folders: by name, the local folder to copy there as a whole.
        pages: by name, the text of a file at the top.
        entries: by bundle folder, its entry in the index.
    """

    folders: Mapping[str, Path]
    pages: Mapping[str, str]
    entries: Mapping[str, Mapping[str, Any]]


def deliver(parcel: Parcel, target: Path) -> tuple[str, ...]:
    """Put a parcel into `target`, made if it is not there; interrupted, it can be repeated.

    Returns:
        The delivered files, relative to `target`.

    Raises:
        StageError: something of the same name lies there that was not published by us.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StageError(
            f"publish.to: {target} cannot be a folder: a file is in the way",
            hint="publish to another folder, or move the file away",
        ) from error
    index = _read_index(target)
    for name in (*parcel.folders, *parcel.pages):
        _refuse_foreign(target, name, index)
    delivered: dict[str, str] = {}
    # Named in the index before they lie there: an interrupted delivery stays ours to repeat.
    announced = [*parcel.folders, *parcel.pages]
    _write_index(target, index | {"pending": sorted({*index.get("pending", []), *announced})})
    for name, folder in parcel.folders.items():
        _swap_in(folder, target / name)
        for path in sorted((target / name).rglob("*")):
            if path.is_file():
                delivered[path.relative_to(target).as_posix()] = content_hash(path)
    for name, text in parcel.pages.items():
        _write_whole(target / name, text)
        delivered[name] = content_hash(target / name)
    kept = {
        name: digest
        for name, digest in index.get("files", {}).items()
        if name.split("/")[0] not in announced
    }
    _write_index(
        target,
        {
            "format": INDEX_FORMAT,
            "bundles": {**index.get("bundles", {}), **parcel.entries},
            "files": dict(sorted({**kept, **delivered}.items())),
        },
    )
    return tuple(sorted([*delivered, INDEX_NAME]))


def _read_index(target: Path) -> dict[str, Any]:
    path = target / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        index = None
    if not isinstance(index, dict) or index.get("format", INDEX_FORMAT) != INDEX_FORMAT:
        raise StageError(
            f"publish.to: {path} is not an index this version wrote",
            hint="publish to another folder, or move the file away",
        )
    return index


def _refuse_foreign(target: Path, name: str, index: Mapping[str, Any]) -> None:
    tops = {file.split("/")[0] for file in index.get("files", {})}
    if (target / name).exists() and name not in tops | set(index.get("pending", [])):
        raise StageError(
            f"publish.to: {target / name} was not published by lofi-recipe",
            hint="publish to another folder, or move it away",
        )


def _swap_in(source: Path, place: Path) -> None:
    aside = place.with_name(f".publishing-{place.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(source, aside)
        if place.exists():
            shutil.rmtree(place)
        aside.rename(place)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _write_index(target: Path, index: Mapping[str, Any]) -> None:
    _write_whole(
        target / INDEX_NAME, json.dumps(index, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )
