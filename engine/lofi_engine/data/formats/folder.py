"""A folder that an export makes: it appears whole, is made again only if it is its own.

What is half-made lies beside the place as `.<name>.part` and is continued by the next export of
the same tracks. The marker `lofi-export.json` says what the folder was made of and what it held.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file
from lofi_runtime.atomic import PART, read_json, recover_folder, replace_folder, write_json

MARKER = "lofi-export.json"
MARKER_VERSION = 1
_ELSEWHERE = "name another folder with --out, or move this one away"


def fill_folder(place: Path, made_of: Mapping[str, Any], write: Callable[[Path], None]) -> bool:
    """Make `place` what `write` makes of an empty folder, or leave it if it is that already.

    Args:
        place: absolute; may be missing, empty, or an earlier export as it was left.
        made_of: JSON values that decide all that is written.
        write: fills the folder it is given; what an interrupted call finished lies there, and
            files whose names begin with a dot are removed after it.

    Returns:
        Whether anything had to be written.

    Raises:
        StageError: something lies there that no export made or that was changed since; another
            export is writing there; the disk refuses.
    """
    with _worded(place), _alone(place):
        recover_folder(place)
        missing = _missing_files(place)
        if missing == [] and _read_marker(place).get("made_of") == made_of:
            return False
        part = _begin(place, made_of)
        write(part)
        for leftover in [path for path in part.rglob(".*") if path.is_file()]:
            leftover.unlink()
        files = {name: hash_file(part / name) for name in _files(part)}
        _write_marker(part, made_of, files)
        replace_folder(part, place)
    return True


def _begin(place: Path, made_of: Mapping[str, Any]) -> Path:
    """Give the folder to write in, with what an interrupted export of the same left there."""
    part = place.with_name(f".{place.name}{PART}")
    if part.exists() and _read_marker(part).get("made_of") != made_of:
        _refuse_foreign(part)
        shutil.rmtree(part)
    if not part.exists():
        part.mkdir()
        _write_marker(part, made_of, {})
    return part


def _missing_files(place: Path) -> list[str] | None:
    """Name the files of an earlier export that are gone; None where none was made.

    Raises:
        StageError: there is something else in the folder, or a file was changed.
    """
    if place.is_file():
        raise StageError(f"{place}: a file is in the way", hint=_ELSEWHERE)
    if not place.exists():
        return None
    _refuse_foreign(place)
    listed: Mapping[str, str] = _read_marker(place).get("files", {})
    found = _files(place)
    for name in found:
        if name not in listed:
            raise StageError(f"{place}: '{name}' is not from an export", hint=_ELSEWHERE)
        if hash_file(place / name) != listed[name]:
            raise StageError(f"{place}: '{name}' was changed after the export", hint=_ELSEWHERE)
    return [name for name in listed if name not in found] if listed else None


def _refuse_foreign(folder: Path) -> None:
    if any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise StageError(f"{folder}: no export made what is in it", hint=_ELSEWHERE)


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != MARKER)


def _write_marker(folder: Path, made_of: Mapping[str, Any], files: Mapping[str, str]) -> None:
    marker = {"version": MARKER_VERSION, "made_of": dict(made_of), "files": dict(files)}
    write_json(folder / MARKER, marker)


def _read_marker(folder: Path) -> Mapping[str, Any]:
    try:
        marker = read_json(folder / MARKER)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise StageError(f"{folder / MARKER}: is damaged ({error})", hint=_ELSEWHERE) from error
    return marker if isinstance(marker, dict) else {}


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(f".{place.name}.lock")
    lock = FileLock(path, timeout=0.5)
    try:
        lock.acquire()
    except Timeout:
        raise StageError(
            f"{place}: another export is writing here", hint="wait for it to end"
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def _worded(place: Path) -> Iterator[None]:
    """Turn what the file system refuses into one sentence; a full disk has its own elsewhere."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StageError(
            f"{place}: cannot export here: {error.strerror or error}: {error.filename or place}",
            hint=_ELSEWHERE,
        ) from error
