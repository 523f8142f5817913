"""The child over time: let go when it has long been silent, replaced when it hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from lofi_runtime.player.process import OnDeath, OnEvent, PlayerProcess

IDLE_SEC = 60.0
"""A child that plays nothing for so long is let go: its memory returns, the device is free."""
STALL_SEC = 15.0
"""A child that plays but tells nothing for so long hangs."""


class Deck:
    """A child, and which play of a track lies in it.

    Args:
        command: how to start the child.
        idle_sec: see `IDLE_SEC`.
        on_event: takes what it tells.
        on_death: `on_death(how)` when it ended by itself, or hung and was ended.
    """

    def __init__(
        self, command: tuple[str, ...], idle_sec: float, on_event: OnEvent, on_death: OnDeath
    ) -> None:
        self.process = PlayerProcess(command, self._hear, self._die)
        self.idle_sec = idle_sec
        self.loaded = 0
        """The number of the play that the child has; 0 for none."""
        self._on_event = on_event
        self._on_death = on_death
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    def load(self, number: int, message: dict[str, Any]) -> None:
        """Let the child play, starting it if need be."""
        self.loaded = number
        self.process.start({"op": "play", **message})

    def tell(self, op: str, **rest: Any) -> None:
        """Tell the child something if there is one."""
        self.process.tell({"op": op, **rest})

    def unload(self) -> None:
        """Let the child stop what it plays."""
        self.loaded = 0
        self.tell("stop")

    def keep(self) -> None:
        """Watch over the child from now on: it plays."""
        self._heard_at = time.monotonic()
        self._call_later(STALL_SEC, self._watch)

    def rest(self) -> None:
        """Let the child go in a while: it plays nothing."""
        self._call_later(self.idle_sec, self._let_go)

    async def close(self) -> None:
        """End the child."""
        if self._timer is not None:
            self._timer.cancel()
        await self.process.close()

    def _call_later(self, delay_sec: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_sec, call)

    def _let_go(self) -> None:
        self.loaded = 0
        self.process.release()

    def _watch(self) -> None:
        left_sec = self._heard_at + STALL_SEC - time.monotonic()
        if left_sec > 0:
            self._call_later(left_sec, self._watch)
        else:
            self.process.release()
            self._die(f"it told nothing for {STALL_SEC:g} s")

    def _hear(self, event: dict[str, Any]) -> None:
        self._heard_at = time.monotonic()
        self._on_event(event)

    def _die(self, how: str) -> None:
        self.loaded = 0
        self._on_death(how)
