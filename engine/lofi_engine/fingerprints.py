"""Remembers file hashes by size and modification time, so that planning stays fast.

The table is a cache: losing it costs time, never correctness. It lies in the recipe's runs folder;
before the first run there is none, and planning must not make one, so until then, and where that
folder cannot be written, the table lies in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path

from platformdirs import user_cache_path

from lofi_engine.hashing import KEY_LENGTH, content_hash, hash_file, hash_value
from lofi_runtime.atomic import read_json, write_text

TABLE_NAME = "fingerprints.json"
MISSING = "missing"
NO_FILE = "not a file"


class Fingerprints:
    """A table of file hashes, kept in `folder`.

    Args:
        folder: where the table is kept; it need not exist and is not made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / TABLE_NAME
        self._spare_path = _spare_path(folder)
        spare = _read_table(self._spare_path)
        self._known = {**_read_table(self._path), **spare}
        self._changed = bool(spare) and folder.is_dir()  # to be moved there

    def __call__(self, path: Path) -> str:
        """Give the hash of a file, or of a folder's file names and hashes, or "missing"."""
        if path.is_dir():
            listed = {}
            for root, folders, files in os.walk(path):
                folders.sort()
                for name in files:
                    file = Path(root) / name
                    listed[file.relative_to(path).as_posix()] = self._file(file)
            return hash_value(listed)
        return self._file(path)

    def content(self, path: Path) -> str:
        """Give a file's `content_hash`, or "missing"; JSON files are small and read each time."""
        if path.suffix != ".json":
            return self._file(path)
        try:
            return content_hash(path)
        except OSError:
            return MISSING

    def save(self) -> None:
        """Write the table if it changed; a table that cannot be written is simply not kept."""
        if not self._changed:
            return
        text = json.dumps(self._known)  # ASCII: a file name need not be UTF-8
        if self._path.parent.is_dir():
            with contextlib.suppress(OSError):
                write_text(self._path, text)
                self._spare_path.unlink(missing_ok=True)
                self._changed = False
                return
        with contextlib.suppress(OSError):
            self._spare_path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._spare_path, text)
            self._changed = False

    def _file(self, path: Path) -> str:
        try:
            status = path.stat()
        except OSError:
            return MISSING
        if not stat.S_ISREG(status.st_mode):
            return NO_FILE  # a pipe would be read for ever
        stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
        name = str(path.resolve())
        known = self._known.get(name)
        if known is not None and known[:3] == stamp:
            return str(known[3])
        try:
            digest = hash_file(path)
        except OSError:
            return MISSING
        self._known[name] = [*stamp, digest]
        self._changed = True
        return digest


def _spare_path(folder: Path) -> Path:
    name = hash_value(str(folder.absolute()))[:KEY_LENGTH]
    return user_cache_path("lofi", appauthor=False) / "fingerprints" / f"{name}.json"


def _read_table(path: Path) -> dict[str, list[object]]:
    with contextlib.suppress(OSError, ValueError):
        loaded = read_json(path)
        if isinstance(loaded, dict):
            return {name: row for name, row in loaded.items() if _is_row(row)}
    return {}


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 4 and isinstance(row[3], str)
