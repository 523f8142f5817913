"""The server's side of the child process that generates.

The child is started when first needed and again after it died: what kills it (a crash, the
out-of-memory killer) ends one track and never the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.audio_format import WAV_16, AudioFormat
from lofi_runtime.devices import AUTO
from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.sources import BackendChoice, Source

log = logging.getLogger(__name__)

WORKER_COMMAND = (sys.executable, "-m", "lofi_runtime.worker_main")

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Patience:
    """How long the server waits for the child.

    Args:
        hang_sec: without a sign of progress; then the child counts as stuck.
        deadline_sec: for a whole track, progress or not.
        unload_sec: idle; then the child is ended, which gives all its memory back.
    """

    hang_sec: float = 300.0
    deadline_sec: float = 3600.0
    unload_sec: float = 600.0


@dataclass(frozen=True)
class Task:
    """What the child is asked to make.

    Args:
        track_id: names the task in both directions.
        source: the backend.
        request: the fields of `backend.Request`.
        path: where the audio is written.
        audio_format: in which form.
        ends_at: by the monotonic clock, when it must be done; None: the deadline counts from now.
    """

    track_id: str
    source: Source
    request: dict[str, Any]
    path: Path
    audio_format: AudioFormat = WAV_16
    ends_at: float | None = None


@dataclass
class _Running:
    """The task the child works on, by a number of its own: a late cancel hits no other task."""

    number: int
    task: Task
    is_cancelled: bool = False
    has_begun: bool = False
    is_loaded: bool = False
    ends_at: float = math.inf


class _WorkerDiedError(Exception):
    """The child ended before the task did."""


_SIGKILL = 9
"""By its number: Windows has no such name, nor such an exit code."""
_POLL_SEC = 0.05
_KILLED_SEC = 2.0
"""How long a killed child is waited for."""
_DRAIN_SEC = 0.3
"""How long what a dead child had written may still be on its way."""


class Worker:
    """Makes one track at a time in a child process.

    Args:
        command: how to start the child.
        threads: processor threads a model may use.
        device: what a model computes on, see `devices.DEVICES`.
        patience: how long to wait for the child.
    """

    def __init__(
        self,
        command: tuple[str, ...] = WORKER_COMMAND,
        threads: int = 1,
        device: str = AUTO,
        patience: Patience = Patience(),
    ) -> None:
        self._command = command
        self._threads = threads
        self._device = device
        self._patience = patience
        self._used_at = time.monotonic()
        self.device = ""
        self._process: asyncio.subprocess.Process | None = None
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._running: _Running | None = None
        self._count = 0
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process else None

    async def warm(self, source: Source) -> None:
        """Start the child and let it load `source`, so that the first track need not wait."""
        await self._start()
        self._send({"op": "load", "backend": self._backend(source)})

    async def generate(self, task: Task, on_progress: OnProgress) -> dict[str, Any]:
        """Make a track; returns the child's `done` event.

        Args:
            task: what to make.
            on_progress: `on_progress(stage, done, total)`.

        Raises:
            RpcError: the backend failed, or the child died, with the protocol's name for it.
            GenerationCancelled: `cancel` was called for it.
        """
        self._count += 1
        ends_at = task.ends_at
        if ends_at is None:
            ends_at = time.monotonic() + self._patience.deadline_sec
        running = self._running = _Running(self._count, task, ends_at=ends_at)
        try:
            return await self._make(running, on_progress)
        finally:
            self._running = None
            self._used_at = time.monotonic()

    def cancel(self, track_id: str) -> None:
        """Ask the child to stop that track before its next step; no answer is awaited."""
        running = self._running
        if running is not None and running.task.track_id == track_id:
            running.is_cancelled = True
            self._send({"op": "cancel", "task": running.number})

    async def unload_when_idle(self) -> None:
        """End the child each time it has idled long enough; runs until this task is cancelled."""
        while True:
            left_sec = self._used_at + self._patience.unload_sec - time.monotonic()
            if left_sec > 0 or self._running is not None:
                await asyncio.sleep(max(left_sec, _POLL_SEC))
                continue
            async with self._starting:
                # A track may have come while the lock was waited for.
                if self._running is None and self._is_alive():
                    log.info("the generating process was idle; its memory is given back")
                    await self.close()
            self._used_at = time.monotonic()

    async def close(self) -> None:
        """End the child, in the middle of a step if need be."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        try:
            async with asyncio.timeout(_KILLED_SEC):
                await _exit_code(process)
        except TimeoutError:  # a driver may hold it in the kernel
            log.error("process %d does not end though it was killed", process.pid)
        if self._watcher is not None:
            self._watcher.cancel()
        if self._reader is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reader, _DRAIN_SEC)
        # asyncio closes it only when every holder of the child's pipes has let go of them.
        process._transport.close()  # type: ignore[attr-defined]

    async def _make(self, running: _Running, on_progress: OnProgress) -> dict[str, Any]:
        try:
            done = await self._attempt(running, on_progress)
        except _WorkerDiedError as death:
            if running.has_begun:
                raise await self._explain_death(running) from death
            # It had died while it was idle: nothing of this task was lost.
            done = None
        if done is None:
            try:
                done = await self._attempt(running, on_progress)
            except _WorkerDiedError as death:
                raise await self._explain_death(running) from death
        if running.is_cancelled:
            # It finished while the cancel was on its way; who cancelled wants no track.
            raise _cancelled(running)
        return done

    async def _attempt(self, running: _Running, on_progress: OnProgress) -> dict[str, Any]:
        await self._start()
        if running.is_cancelled:
            raise _cancelled(running)
        task = running.task
        self._send(
            {
                "op": "generate",
                "task": running.number,
                "backend": self._backend(task.source),
                "request": task.request,
                "path": str(task.path),
                "audio_format": [task.audio_format.name, task.audio_format.bits],
                "license": task.source.license_name,
            }
        )
        while (event := await self._next_event(running)) is not None:
            if event["task"] != running.number:
                continue
            match event["event"]:
                case "began":
                    running.has_begun = True
                case "loaded":
                    running.is_loaded = True
                    self.device = event["device"]
                case "progress":
                    on_progress(event["stage"], event["done"], event["total"])
                case "done":
                    return event
                case "cancelled":
                    raise _cancelled(running)
                case "failed":
                    if running.is_cancelled:
                        raise _cancelled(running)
                    raise RpcError(event["code"], event["message"])
        raise _WorkerDiedError("the generating process ended")

    async def _next_event(self, running: _Running) -> dict[str, Any] | None:
        """Wait for the child's next word, but not for ever.

        Raises:
            RpcError: it hangs, or the track takes too long; the child was ended.
        """
        hang_sec, left_sec = self._patience.hang_sec, running.ends_at - time.monotonic()
        try:
            # Not wait_for: before Python 3.12 it loses a cancel that comes with an event.
            async with asyncio.timeout(max(min(hang_sec, left_sec), 0.0)):
                return await self._events.get()
        except TimeoutError:
            await self.close()
        if running.is_cancelled:
            raise _cancelled(running)
        if left_sec <= hang_sec:
            why = f"took longer than the deadline of {self._patience.deadline_sec:g} s"
            hint = "ask for a shorter duration or fewer steps, or serve with a longer --deadline"
        else:
            why = f"showed no progress for {hang_sec:g} s and was ended"
            hint = "ask again; if a single step takes so long here, serve with a longer --hang"
        raise RpcError("MODEL_INFERENCE_FAILED", f"track {running.task.track_id} {why}", hint=hint)

    async def _start(self) -> None:
        """Start the child unless one lives."""
        async with self._starting:
            if self._is_alive():
                return
            await self.close()
            self._events = asyncio.Queue()
            # A session of its own: Ctrl-C in the server's terminal is for the server to handle.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            self._reader = asyncio.create_task(self._read(self._process, self._events))
            self._watcher = asyncio.create_task(self._watch(self._process, self._events))

    def _is_alive(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        return self._reader is not None and not self._reader.done()

    async def _read(
        self,
        process: asyncio.subprocess.Process,
        events: asyncio.Queue[dict[str, Any] | None],
    ) -> None:
        """Pass the child's events on; None marks its end."""
        unpacker = msgpack.Unpacker(raw=False)
        if process.stdout is None:
            raise ValueError("the child was started without a pipe")
        try:
            while data := await process.stdout.read(1 << 16):
                unpacker.feed(data)
                for event in unpacker:
                    events.put_nowait(event)
        except ValueError:  # all that msgpack raises of broken bytes
            log.exception("the generating process said what is no message")
        finally:
            events.put_nowait(None)

    async def _watch(
        self,
        process: asyncio.subprocess.Process,
        events: asyncio.Queue[dict[str, Any] | None],
    ) -> None:
        """Mark the child's end even when its pipe stays open in some process it left behind."""
        await _exit_code(process)
        await asyncio.sleep(_DRAIN_SEC)
        events.put_nowait(None)

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(msgpack.packb(message))

    def _backend(self, source: Source) -> dict[str, Any]:
        return BackendChoice.of(source, self._threads, self._device).to_record()

    async def _explain_death(self, running: _Running) -> Exception:
        if running.is_cancelled:
            return _cancelled(running)
        code = await _exit_code(self._process) if self._process else 0
        how = f"exit code {code}"
        hint = "ask again; the server's log on stderr may say why"
        if code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        if code == -_SIGKILL:
            hint = "ask again; if memory ran out, take a smaller precision or a shorter duration"
        return RpcError(
            "MODEL_INFERENCE_FAILED" if running.is_loaded else "MODEL_LOAD_FAILED",
            f"the process generating track {running.task.track_id} ended ({how})",
            hint=hint,
        )


async def _exit_code(process: asyncio.subprocess.Process) -> int:
    """Wait for a process to end.

    `Process.wait` also waits for its pipes, which a process that it left behind may hold open.
    """
    while process.returncode is None:
        await asyncio.sleep(_POLL_SEC)
    return process.returncode


def _cancelled(running: _Running) -> GenerationCancelled:
    return GenerationCancelled(f"track {running.task.track_id} was cancelled")
