"""A unix socket for this user alone: folder 0700, socket 0600, the peer's uid checked."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from lofi_runtime.errors import LofiError
from lofi_runtime.paths import prepare_socket_folder
from lofi_runtime.rpc.peer import is_own_user
from lofi_runtime.rpc.residence import Residence, already_running

BACKLOG = 512
"""Clients that may wait to be let in: as many as may be in, so that none of a crowd is refused."""

OnConnection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UnixListener:
    """Owns the socket file; a second server on the same path is refused.

    Args:
        path: of the socket; see `Residence` for what lies beside it.
    """

    token: str | None = None
    """The kernel says whose a connection is, so none is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._residence = Residence(path)
        self._server: asyncio.Server | None = None
        self._inode: int | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.path)

    async def open(self, on_connection: OnConnection) -> None:
        """Listen; `on_connection` gets each peer of this user.

        Raises:
            LofiError: another server lives there, or the path cannot be used.
        """

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if is_own_user(writer.get_extra_info("socket")):
                await on_connection(reader, writer)
            else:
                writer.close()

        prepare_socket_folder(self.path)
        try:
            self._residence.take()
            clear_stale(self.path)
            listening = _bind(self.path)
            self._inode = self.path.stat().st_ino
            self._server = await asyncio.start_unix_server(accept, sock=listening, backlog=BACKLOG)
            self._residence.announce(self.address)
        except OSError as error:
            self.close()
            raise LofiError(f"cannot listen on {self.path}: {error.strerror or error}") from error
        except LofiError:
            self.close()
            raise

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
        self._residence.leave()


def clear_stale(path: Path) -> None:
    """Remove a socket nobody listens on; anything else in its place is left alone.

    Raises:
        LofiError: something else is there, or somebody listens.
        OSError: it cannot be found out.
    """
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
            raise already_running(path)
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
