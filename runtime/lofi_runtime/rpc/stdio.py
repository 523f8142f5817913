"""A connection over this process's own stdin and stdout: one client, whose end is the server's."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable

from lofi_runtime.child_process import take_pipes
from lofi_runtime.errors import LofiError
from lofi_runtime.rpc.transport import OnConnection


class StdioListener:
    """Serves the one client that started this process.

    Args:
        on_end: called when the client closed its end.
    """

    token: str | None = None
    """Whoever started this process may talk to it."""
    address = "stdin and stdout"

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._serving: asyncio.Task[None] | None = None

    async def open(self, on_connection: OnConnection) -> None:
        """Take hold of the pipes and serve; returns at once.

        Raises:
            LofiError: stdin or stdout is neither pipe, socket nor terminal.
        """
        _check_pipes()
        source, sink = take_pipes()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", buffering=0)
        )
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop),
            os.fdopen(sink, "wb", buffering=0),
        )
        writer = asyncio.StreamWriter(transport, protocol, None, loop)

        async def serve() -> None:
            try:
                await on_connection(reader, writer)
            finally:
                self._on_end()

        self._serving = asyncio.create_task(serve())

    def close(self) -> None:
        """Nothing is left behind: the pipes end with the process."""


def _check_pipes() -> None:
    for number, name in ((0, "stdin"), (1, "stdout")):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            mode = 0
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)):
            raise LofiError(
                f"{name} is not a pipe: a client must start this program and talk to it",
                hint="an editor does so; by hand try: cat requests | PROGRAM | cat",
            )
