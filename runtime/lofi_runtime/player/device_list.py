"""What the server knows of audio devices: the list as it was when somebody looked last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any

import msgpack

from lofi_runtime.player.names import DEFAULT, NULL, SAMPLE_RATE
from lofi_runtime.rpc.errors import RpcError

log = logging.getLogger(__name__)

LOOK_COMMAND = (sys.executable, "-m", "lofi_runtime.player.audio_devices")
LOOK_SEC = 10.0

OnChange = Callable[[dict[str, Any]], None]


class DeviceList:
    """Looks in a process of its own, which ends when it has told what is there.

    Args:
        command: how to start it.
        chosen: the device in use, which may be missing.
        on_change: takes `describe` when it has become other than clients were told.
    """

    def __init__(self, command: tuple[str, ...], chosen: str, on_change: OnChange) -> None:
        self.chosen = chosen
        self._command = command
        self._on_change = on_change
        self._told: dict[str, Any] | None = None
        self._look: asyncio.Task[None] | None = None
        self.found: list[dict[str, Any]] | None = None
        """As `audio_devices` tells them, without the null device; None before the first look."""

    def describe(self) -> dict[str, Any]:
        """Return the device in use and those there are, as of the last look."""
        null = {"name": NULL, "is_default": False, "sample_rate": SAMPLE_RATE}
        self._told = {"current": self.chosen, "available": [*(self.found or []), null]}
        return self._told

    def choose(self, device: str) -> None:
        """Use another device.

        Raises:
            RpcError: AUDIO_DEVICE_ERROR, there is none of that name.
        """
        names = [DEFAULT, *(one["name"] for one in self.found or []), NULL]
        if self.found is not None and device not in names:
            self.look()
            raise RpcError(
                "AUDIO_DEVICE_ERROR",
                f"device: {device[:80]!r} is not one of {', '.join(names)}",
                hint="connect it and ask again",
            )
        self.chosen = device

    def check(self) -> None:
        """Refuse to play on a device that is not there; the next look may find it.

        Raises:
            RpcError: AUDIO_DEVICE_ERROR, says what to do.
        """
        if not self.lacks_chosen:
            return
        self.look()
        which = "" if self.chosen == DEFAULT else f" {self.chosen!r}"
        raise RpcError(
            "AUDIO_DEVICE_ERROR",
            f"there is no audio device{which} on this machine",
            hint="connect one and ask again, choose another with audio_device_set, or play "
            "without a sound on device 'null'",
        )

    @property
    def lacks_chosen(self) -> bool:
        """Whether the last look says that the device in use is not there."""
        if self.found is None or self.chosen == NULL:
            return False
        return not any(self.chosen in (DEFAULT, one["name"]) for one in self.found)

    def look(self) -> None:
        """Look again, unless somebody is looking; the answer comes later."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End a look that is under way."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def _run(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("audio devices cannot be listed: %s", error)
            return
        try:
            said, _ = await asyncio.wait_for(process.communicate(), LOOK_SEC)
        except TimeoutError:
            log.warning("audio devices cannot be listed: no answer within %g s", LOOK_SEC)
            return
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                # Killed: its pipe closes with it.
                await process.wait()
        if process.returncode == 0:
            self.found = msgpack.unpackb(said)
            before = self._told
            if before is not None and before != self.describe():
                self._on_change(self.describe())
        else:
            log.warning("audio devices cannot be listed: exit code %s", process.returncode)
