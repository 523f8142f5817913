"""Files and folders that appear whole or not at all, whatever kills the program in between.

The one place where things are written aside and renamed. Names that begin with a dot and end in
`.part` or `.old` are leftovers of a kill and may be removed by whoever owns the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PART = ".part"
OLD = ".old"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the place of `path` when all went well.

    Whatever is raised, the half-written file is removed and an older `path` stays as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; a reader sees the old file or the new one, never half of it."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, sort_keys: bool = False) -> None:
    """Write JSON for people: indented, UTF-8, one newline at the end.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, indent=1, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Read UTF-8 JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def replace_folder(new: Path, place: Path) -> None:
    """Put the folder `new` where `place` is; an older `place` stays until the new one is there.

    Killed between the two renames, `place` is gone and its old content lies aside:
    `recover_folder` puts it back.
    """
    recover_folder(place)
    old = _old(place)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(place: Path) -> None:
    """Undo a `replace_folder` that was killed half-way; else do nothing."""
    old = _old(place)
    if not old.exists():
        return
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(place)


def link_or_copy(source: Path, place: Path) -> None:
    """Give a file a second name; where the file system has no links, copy it."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}{OLD}")
