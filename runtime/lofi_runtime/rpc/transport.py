"""A unix socket for this user alone: folder 0700, socket 0600, the peer's uid checked."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from lofi_runtime.errors import LofiError
from lofi_runtime.paths import prepare_socket_folder

OnConnection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UnixListener:
    """Owns the socket file; a second server on the same path is refused.

    Args:
        path: of the socket; `<path>.lock` beside it says who lives, even right after a crash.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._inode: int | None = None

    async def open(self, on_connection: OnConnection) -> None:
        """Listen; `on_connection` gets each peer of this user.

        Raises:
            LofiError: another server lives there, or the path cannot be used.
        """
        prepare_socket_folder(self.path)
        self._lock = _take_lock(self.path)
        try:
            _clear_stale(self.path)
            listening = _bind(self.path)
        except OSError as error:
            self.close()
            raise LofiError(f"cannot listen on {self.path}: {error.strerror or error}") from error
        except LofiError:
            self.close()
            raise
        self._inode = self.path.stat().st_ino

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if _is_own_user(writer.get_extra_info("socket")):
                await on_connection(reader, writer)
            else:
                writer.close()

        self._server = await asyncio.start_unix_server(accept, sock=listening)

    def close(self) -> None:
        """Stop listening and remove the socket file, if it is still this server's."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._inode is not None:
            try:
                if self.path.stat().st_ino == self._inode:
                    self.path.unlink()
            except FileNotFoundError:
                pass
            self._inode = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _take_lock(path: Path) -> int:
    """Hold a lock that the kernel drops however this process ends."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise _already_running(path) from error
    return lock


def _clear_stale(path: Path) -> None:
    """Remove a socket nobody listens on; anything else in its place is left alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LofiError(
            f"{path} is there and is not a socket", hint="move it away or choose another --socket"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise
        else:
            raise _already_running(path)
    path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # 0600 from the first moment: a chmod afterwards would leave a gap.
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _is_own_user(peer: socket.socket) -> bool:
    """Whether the peer runs as this user, as the kernel tells it (Linux's SO_PEERCRED)."""
    if not hasattr(socket, "SO_PEERCRED"):
        # Elsewhere the modes of folder and socket keep others out.
        return True
    layout = struct.Struct("3i")
    record = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
    _pid, uid, _gid = layout.unpack(record)
    return bool(uid == os.getuid())


def _already_running(path: Path) -> LofiError:
    return LofiError(
        f"a runtime is already running on {path}",
        hint="use it, stop it, or give another --socket",
    )
