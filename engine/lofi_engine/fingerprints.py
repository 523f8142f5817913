"""Remembers file hashes by size and modification time, so that planning stays fast.

The table is a cache: losing it costs time, never correctness.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from lofi_engine.hashing import hash_file, hash_value

TABLE_NAME = "fingerprints.json"
MISSING = "missing"


class Fingerprints:
    """A table of file hashes, kept in `folder`.

    Args:
        folder: where the table is kept; it need not exist, and a table that cannot be written
            is simply not kept.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / TABLE_NAME
        self._known: dict[str, list[object]] = {}
        self._changed = False
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(loaded, dict):
                self._known = {name: row for name, row in loaded.items() if _is_row(row)}

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

    def save(self) -> None:
        """Write the table if it changed; a folder that cannot be written is not an error."""
        if not self._changed or not self._path.parent.is_dir():
            return
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            aside.write_text(json.dumps(self._known), encoding="utf-8")
            aside.replace(self._path)
            self._changed = False
        aside.unlink(missing_ok=True)

    def _file(self, path: Path) -> str:
        try:
            status = path.stat()
        except OSError:
            return MISSING
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


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 4 and isinstance(row[3], str)
