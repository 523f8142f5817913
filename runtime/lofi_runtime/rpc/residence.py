"""Which server lives at a path: a lock that no crash leaves behind, and a file for people.

The lock alone decides; the pid file beside it, `{pid, version, address}`, may be stale after a kill
and is only ever read to be shown.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lofi_runtime.atomic import read_json, replacing
from lofi_runtime.errors import LofiError
from lofi_runtime.paths import pid_file, token_file
from lofi_runtime.version import VERSION


class Residence:
    """One server's right to a path, which at most one holds at any moment.

    Args:
        path: of the socket, whether or not one is made there: a server on TCP excludes one on the
            socket, so that all editors share one model.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def take(self) -> None:
        """Hold the path until `leave` or this process's end.

        Raises:
            LofiError: another server holds it.
            OSError: the lock's file cannot be made.
        """
        lock = os.open(self._path.with_name(self._path.name + ".lock"), _LOCK_FLAGS, 0o600)
        if not _try_lock(lock):
            os.close(lock)
            raise already_running(self._path)
        self._lock = lock
        # What a killed server left would send clients to the wrong place.
        pid_file(self._path).unlink(missing_ok=True)
        token_file(self._path).unlink(missing_ok=True)

    def announce(self, address: str) -> None:
        """Write the file that says who lives here.

        Args:
            address: how clients reach it.

        Raises:
            OSError: it cannot be written.
        """
        record = {"pid": os.getpid(), "version": VERSION, "address": address}
        write_private(pid_file(self._path), record)

    def leave(self) -> None:
        """Remove the file and let others have the path; does nothing the second time."""
        if self._lock is None:
            return
        pid_file(self._path).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def already_running(path: Path) -> LofiError:
    """Return the refusal of a second server."""
    pid = running_pid(path)
    process = "" if pid is None else f" (process {pid})"
    return LofiError(
        f"a runtime is already running on {path}{process}",
        hint="use it, stop it with `lofi-runtime stop`, or give another --socket",
    )


def running_pid(path: Path) -> int | None:
    """Return the process that the file beside `path` names; None when there is no such file."""
    try:
        return int(read_json(pid_file(path))["pid"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_private(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON file whole, for this user alone (0600) from its first byte on.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as aside:
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


# Python lets no child inherit it: a worker would hold the lock after the server's end.
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT

if sys.platform == "win32":
    import msvcrt

    def _try_lock(lock: int) -> bool:
        try:
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(lock: int) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
