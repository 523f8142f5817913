"""The server's side of the child process that plays.

Nothing here waits for the child: messages are written, or kept until it has started.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgpack

PLAYER_COMMAND = (sys.executable, "-m", "lofi_runtime.player.player_main")

OnEvent = Callable[[dict[str, Any]], None]
OnDeath = Callable[[str], None]

_POLL_SEC = 0.02
_END_SEC = 1.0


class PlayerProcess:
    """Starts the child with the first message that needs it, and again after it died.

    Args:
        command: how to start it.
        on_event: takes what it tells.
        on_death: `on_death(how)` when it ended by itself; what it played is over.
    """

    def __init__(self, command: tuple[str, ...], on_event: OnEvent, on_death: OnDeath) -> None:
        self._command = command
        self._on_event = on_event
        self._on_death = on_death
        self._process: asyncio.subprocess.Process | None = None
        self._unsent: list[bytes] = []
        self._serving: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self, message: dict[str, Any]) -> None:
        """Tell the child something, starting it if none lives."""
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        self.tell(message)

    def tell(self, message: dict[str, Any]) -> None:
        """Tell the child something if there is one."""
        frame = msgpack.packb(message)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(frame)
        elif self._serving is not None:
            self._unsent.append(frame)

    def release(self) -> None:
        """Let the child end, if there is one; no `on_death` follows. A later `start` has another.

        It gets a second to end of itself.
        """
        serving, process = self._serving, self._process
        self._serving = self._process = None
        self._unsent.clear()
        if serving is None:
            return
        if process is not None and process.stdin is not None:
            process.stdin.close()
        ending = asyncio.create_task(self._end(serving, process))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End the child now and wait until it has."""
        process = self._process
        if process is not None:
            _kill(process)
        self.release()
        await asyncio.gather(*self._ending)

    async def _serve(self) -> None:
        """Start the child and pass its events on until it ends."""
        mine = asyncio.current_task()
        try:
            # A session of its own: Ctrl-C in the server's terminal is for the server to handle.
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._serving = None
            self._unsent.clear()
            self._on_death(f"it cannot be started: {error.strerror or error}")
            return
        try:
            if self._serving is not mine:
                return  # released before it had begun
            self._process = process
            self._send_kept(process)
            await self._read(process, mine)
            await _wait(process)
        finally:
            _kill(process)
            # asyncio closes it only when every holder of the child's pipes has let go of them.
            process._transport.close()  # type: ignore[attr-defined]
            if self._serving is mine:
                self._serving = self._process = None
                self._on_death(_how_it_ended(process.returncode))

    def _send_kept(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.writelines(self._unsent)
        self._unsent.clear()

    async def _read(
        self, process: asyncio.subprocess.Process, mine: asyncio.Task[None] | None
    ) -> None:
        unpacker = msgpack.Unpacker(raw=False)
        if process.stdout is None:
            raise ValueError("the child was started without a pipe")
        while data := await process.stdout.read(1 << 16):
            unpacker.feed(data)
            for event in unpacker:
                if self._serving is mine:
                    self._on_event(event)

    async def _end(
        self, serving: asyncio.Task[None], process: asyncio.subprocess.Process | None
    ) -> None:
        await asyncio.wait([serving], timeout=_END_SEC)
        if process is not None:
            _kill(process)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _wait(process: asyncio.subprocess.Process) -> None:
    """Wait until a child that closed its pipe has ended too; one that does not is killed."""
    for _ in range(round(_END_SEC / _POLL_SEC)):
        if process.returncode is not None:
            return
        await asyncio.sleep(_POLL_SEC)
    _kill(process)
    while process.returncode is None:
        await asyncio.sleep(_POLL_SEC)


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"it was killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
