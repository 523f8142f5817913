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
    waiting = set(index.get("pending", []))
    for name in (*parcel.folders, *parcel.pages):
        _refuse_foreign(target, name, waiting | set(index.get("files", {})))
    # Named in the index before they lie there: an interrupted delivery stays ours to repeat.
    waiting |= set(_files_of(parcel))
    _write_index(target, index | {"format": INDEX_FORMAT, "pending": sorted(waiting)})
    for name, folder in parcel.folders.items():
        _swap_in(folder, target / name)
    for name, text in parcel.pages.items():
        _write_whole(target / name, text)
    delivered = {file: content_hash(target / file) for file in _files_of(parcel)}

    def of_others(file: str) -> bool:
        top = file.split("/")[0]
        return top not in parcel.folders and top not in parcel.pages

    kept = {file: digest for file, digest in index.get("files", {}).items() if of_others(file)}
    still_waiting = sorted(filter(of_others, waiting))
    _write_index(
        target,
        {
            "format": INDEX_FORMAT,
            "bundles": {**index.get("bundles", {}), **parcel.entries},
            "files": dict(sorted({**kept, **delivered}.items())),
            **({"pending": still_waiting} if still_waiting else {}),
        },
    )
    return tuple(sorted([*delivered, INDEX_NAME]))


def _files_of(parcel: Parcel) -> list[str]:
    inside = [
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in parcel.folders.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return [*inside, *parcel.pages]


def _read_index(target: Path) -> dict[str, Any]:
    path = target / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        index = None
    if not isinstance(index, dict) or not _is_ours(index):
        raise StageError(
            f"publish.to: {path} is not an index this version wrote",
            hint="publish to another folder, or move the file away",
        )
    return index


def _is_ours(index: Mapping[str, Any]) -> bool:
    kinds = {"bundles": dict, "files": dict, "pending": list}
    return index.get("format") == INDEX_FORMAT and all(
        isinstance(index.get(key, kind()), kind) for key, kind in kinds.items()
    )


def _refuse_foreign(target: Path, name: str, ours: set[str]) -> None:
    """Refuse to replace `name` where it, or a file in it, was put there by someone else."""
    place = target / name
    there = [path for path in sorted(place.rglob("*")) if not path.is_dir()]
    if place.exists() and name not in {file.split("/")[0] for file in ours}:
        there = [place]
    for path in there:
        if path.relative_to(target).as_posix() not in ours:
            raise StageError(
                f"publish.to: {path} was not published by lofi-recipe",
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
