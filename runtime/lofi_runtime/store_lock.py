"""A lock on a folder, held by one writer at a time, also among processes.

The folder itself is locked, so nothing lies in it for that, and a writer that is killed lets go.
Windows cannot lock a folder: there a file `.lock` in it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE_SEC = 2.0
"""A writer holds the lock for milliseconds: whoever holds it for longer is stopped or stuck."""
_RETRY_SEC = 0.002
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    def _open(folder: Path) -> int:
        return os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _open(folder: Path) -> int:
        return os.open(folder, os.O_RDONLY | os.O_CLOEXEC)

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a file system that knows no locks gives none, and that is no error.

    Raises:
        TimeoutError: another holds it for too long.
        OSError: the folder is not there.
    """
    handle = _open(folder)
    try:
        _wait(handle)
        yield
    finally:
        os.close(handle)  # which lets go


def _wait(handle: int) -> None:
    until = time.monotonic() + PATIENCE_SEC
    while True:
        try:
            return _take(handle)
        except OSError as error:
            if error.errno not in _TAKEN:
                return None
        if time.monotonic() > until:
            raise TimeoutError(
                errno.ETIMEDOUT, f"another program has held its lock for {PATIENCE_SEC:g} s"
            )
        time.sleep(_RETRY_SEC)
