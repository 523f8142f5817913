"""Publishes into a folder: a bundle is the old one or the new one, never a mixture of both.

Everything new is copied beside its place first and renamed when all of it is there. Killed between
two renames, the next delivery into the folder puts back or removes what lies aside.

`index.json` says what was published and with which hash; a file that is not in it was put there by
someone else and is never changed or deleted. Nothing that was published is deleted either: a
variant that a recipe no longer has keeps its folder and its entry until someone removes the folder;
the next delivery then drops the entry.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file
from lofi_runtime.atomic import (
    PART,
    read_json,
    recover_folder,
    replace_folder,
    write_json,
    write_text,
)

INDEX_NAME = "index.json"
INDEX_FORMAT = 1
LOCK_NAME = ".lofi-publish.lock"
LOCK_TIMEOUT_SEC = 600.0
"""How long to wait for another release into the same folder: some 10 GB on a slow disk."""

_ASIDE = ".publishing-"


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

    @property
    def names(self) -> frozenset[str]:
        """What it puts at the top of the folder."""
        return frozenset({*self.folders, *self.pages})

    def files(self) -> list[str]:
        """List its files, as posix paths relative to the folder."""
        inside = [
            f"{name}/{path.relative_to(folder).as_posix()}"
            for name, folder in self.folders.items()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        return [*inside, *self.pages]


def ignore_folder(_message: str) -> None:
    """Draw no progress."""


def deliver(
    parcel: Parcel, target: Path, on_folder: Callable[[str], None] = ignore_folder
) -> dict[str, str]:
    """Put a parcel into `target`, made if it is not there; interrupted, it can be repeated.

    Args:
        parcel: what to put there.
        target: the folder.
        on_folder: called when a folder is copied, and again when it is in its place.

    Returns:
        The sha256 of every delivered file, by its path relative to `target`; `index.json`, which
        names the releases of others too, is not among them.

    Raises:
        StageError: something of the same name lies there that was not published by us, or another
            release is being published there and does not end.
    """
    with _alone_in(target):
        index = _read_index(target)
        listed, waiting = index.get("files", {}), set(index.get("pending", []))
        _clear_leftovers(target, parcel.names | _tops(waiting | set(listed)))
        for name in sorted(parcel.names):
            _refuse_foreign(target, name, waiting | set(listed))
        # Named in the index before they lie there: an interrupted delivery stays ours to repeat.
        waiting |= set(parcel.files())
        _write_index(target, index | {"format": INDEX_FORMAT, "pending": sorted(waiting)})
        _replace_folders(parcel.folders, target, on_folder)
        for name, text in parcel.pages.items():
            write_text(target / name, text)
        delivered = {file: hash_file(target / file) for file in parcel.files()}
        _write_index(target, _finished_index(index, parcel, target, delivered))
    return delivered


def _finished_index(
    index: Mapping[str, Any], parcel: Parcel, target: Path, delivered: Mapping[str, str]
) -> dict[str, Any]:
    """Join the parcel's entries with what others published and what still lies there."""

    def of_others(file: str) -> bool:
        return file.split("/")[0] not in parcel.names

    bundles = {**index.get("bundles", {}), **parcel.entries}
    kept = {
        file: digest
        for file, digest in index.get("files", {}).items()
        if of_others(file) and (target / file).is_file()
    }
    waiting = sorted(filter(of_others, index.get("pending", [])))
    return {
        "format": INDEX_FORMAT,
        "bundles": {name: entry for name, entry in bundles.items() if (target / name).is_dir()},
        "files": {**kept, **delivered},
        **({"pending": waiting} if waiting else {}),
    }


@contextlib.contextmanager
def _alone_in(target: Path) -> Iterator[None]:
    """Make `target` and hold it: two releases at once would lose each other's entries."""
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StageError(
            f"publish.to: {target} cannot be a folder: a file is in the way",
            hint="publish to another folder, or move the file away",
        ) from error
    lock = FileLock(target / LOCK_NAME, timeout=LOCK_TIMEOUT_SEC)
    try:
        lock.acquire()
    except Timeout:
        raise StageError(
            f"publish.to: {target}: another release has been publishing here for "
            f"{LOCK_TIMEOUT_SEC:g} s",
            hint="wait for it to end, or stop it",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _clear_leftovers(target: Path, ours: Set[str]) -> None:
    """Undo what a kill left half-way, for names that are ours; nobody else is at work here now."""
    for name in sorted(ours):
        recover_folder(target / name)
        shutil.rmtree(target / f"{_ASIDE}{name}", ignore_errors=True)
    for path in target.glob(f".*{PART}"):
        name = path.name.removesuffix(PART).rpartition(".")[0].removeprefix(".")  # .<name>.<pid>
        if name in ours or name == INDEX_NAME:
            path.unlink(missing_ok=True)


def _tops(files: Set[str]) -> frozenset[str]:
    return frozenset(file.split("/")[0] for file in files) - {""}


def _read_index(target: Path) -> dict[str, Any]:
    path = target / INDEX_NAME
    try:
        index = read_json(path)
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


def _refuse_foreign(target: Path, name: str, ours: Set[str]) -> None:
    """Refuse to replace `name` where it, or a file in it, was put there by someone else."""
    place = target / name
    there = [path for path in sorted(place.rglob("*")) if not path.is_dir()]
    if place.exists() and name not in _tops(ours):
        there = [place]
    for path in there:
        if path.relative_to(target).as_posix() not in ours:
            raise StageError(
                f"publish.to: {path} was not published by lofi-recipe",
                hint="publish to another folder, or move it away",
            )


def _replace_folders(
    folders: Mapping[str, Path], target: Path, on_folder: Callable[[str], None]
) -> None:
    """Copy all aside, then rename all: a disk that fills up leaves the old release whole."""
    aside = {name: target / f"{_ASIDE}{name}" for name in folders}
    try:
        for name, source in folders.items():
            shutil.copytree(source, aside[name])
            on_folder(f"{name} copied")
        for name in folders:
            replace_folder(aside[name], target / name)
            on_folder(f"{name} in place")
    except BaseException:
        for name, path in aside.items():
            shutil.rmtree(path, ignore_errors=True)
            recover_folder(target / name)
        raise


def _write_index(target: Path, index: Mapping[str, Any]) -> None:
    write_json(target / INDEX_NAME, index, sort_keys=True)
