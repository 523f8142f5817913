"""TCP on this machine alone, where there are no unix sockets or a client cannot use one.

Any user of the machine can connect, so a client must first show the token that only this user can
read; see `authentication`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

from lofi_runtime.errors import LofiError
from lofi_runtime.paths import prepare_folder, token_file
from lofi_runtime.rpc.residence import Residence, write_private
from lofi_runtime.rpc.transport import BACKLOG, OnConnection, clear_stale
from lofi_runtime.version import VERSION

HOST = "127.0.0.1"


class TcpListener:
    """Listens on 127.0.0.1 and writes host, port, token, process and version to the token file.

    Args:
        socket: the path that the server holds, see `Residence`; the token file lies beside it.
        port: 0 for any free one.
    """

    def __init__(self, socket: Path, port: int = 0) -> None:
        self.token: str | None = secrets.token_hex(32)
        self._file = token_file(socket)
        self._socket = socket
        self._port = port
        self._residence = Residence(socket)
        self._server: asyncio.Server | None = None
        self._has_file = False

    @property
    def address(self) -> str:
        """Where it listens, once it does."""
        return f"{HOST}:{self._port}"

    async def open(self, on_connection: OnConnection) -> None:
        """Listen.

        Raises:
            LofiError: another server lives there, the port is taken, or the files cannot be made.
        """
        prepare_folder(self._socket)
        try:
            self._residence.take()
            if sys.platform != "win32":
                # A killed server's socket would be tried before the token file is looked for.
                clear_stale(self._socket)
            self._server = await asyncio.start_server(
                on_connection, HOST, self._port, backlog=BACKLOG
            )
            self._port = self._server.sockets[0].getsockname()[1]
            self._write_file()
            self._residence.announce(self.address)
        except LofiError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise LofiError(
                f"cannot listen on {HOST} port {self._port}: {error.strerror or error}",
                hint="--tcp without --port takes any free one",
            ) from error

    def close(self) -> None:
        """Stop listening and remove the files."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._has_file:
            self._file.unlink(missing_ok=True)
            self._has_file = False
        self._residence.leave()

    def _write_file(self) -> None:
        record = {
            "host": HOST,
            "port": self._port,
            "token": self.token,
            "pid": os.getpid(),
            "version": VERSION,
        }
        write_private(self._file, record)
        self._has_file = True
