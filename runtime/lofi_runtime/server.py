"""The runtime's server: puts transport, methods, jobs, worker and store together.

Never imports numpy, scipy or onnxruntime: whatever generates lives in the worker.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from lofi_runtime.jobs import Job, JobQueue, OnProgress
from lofi_runtime.library import PROCEDURAL, PROCEDURAL_SOURCE, Library
from lofi_runtime.rpc.connection import Answer, Connection, Wishes
from lofi_runtime.rpc.definitions import load_schema, notification_names
from lofi_runtime.rpc.messages import Codec
from lofi_runtime.rpc.methods import run_method
from lofi_runtime.rpc.msgpack_rpc import MsgpackCodec
from lofi_runtime.rpc.transport import OnConnection, UnixListener
from lofi_runtime.settings import Settings
from lofi_runtime.tracks import Track, TrackStore
from lofi_runtime.version import VERSION
from lofi_runtime.worker import Task, Worker

MAX_CLIENTS = 64


class Listener(Protocol):
    """Where clients come from."""

    async def open(self, on_connection: OnConnection) -> None:
        """Let clients in; returns at once.

        Raises:
            LofiError: it cannot be done here.
        """
        ...

    def close(self) -> None:
        """Let no more in, and leave nothing behind."""
        ...


class Runtime:
    """One server; everything in it runs in one event loop.

    Args:
        settings: see there.
        codec: makes each connection's framing.
        dispatch: runs a client's request; see `methods.run_method`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        codec: Callable[[], Codec] = MsgpackCodec,
        dispatch: Callable[[Runtime, Connection, str, dict[str, Any]], Answer] = run_method,
    ) -> None:
        self.settings = settings
        self._codec = codec
        self._run_method = dispatch
        self.library = Library(settings.models, settings.bundle, settings.backend)
        self.store = TrackStore(settings.tracks)
        self.worker = Worker(settings.worker_command, settings.threads)
        self.jobs = JobQueue(self._produce, self.worker.cancel, self.emit)
        self.clients: dict[int, Connection] = {}
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()
        self._began = self._busy_until = time.monotonic()

    @property
    def uptime_sec(self) -> float:
        """Seconds since the server began."""
        return time.monotonic() - self._began

    async def run(
        self, on_ready: Callable[[], None] = lambda: None, listener: Listener | None = None
    ) -> None:
        """Serve until `stop`, or until idle for as long as the settings say.

        Args:
            on_ready: called once clients may come.
            listener: where from; None for the settings' socket.

        Raises:
            LofiError: another server lives on the socket, or it cannot be made.
        """
        load_schema()
        listener = listener or UnixListener(self.settings.socket)
        await listener.open(self._on_connection)
        background = [asyncio.create_task(self.jobs.run())]
        if self.settings.idle_exit_sec is not None:
            background.append(asyncio.create_task(self._watch_idle(self.settings.idle_exit_sec)))
        if self.library.default_backend == PROCEDURAL:
            background.append(asyncio.create_task(self.worker.warm(PROCEDURAL_SOURCE)))
        self.store.sweep()
        on_ready()
        try:
            await self._stopping.wait()
        finally:
            listener.close()
            await self._end(background)

    def stop(self) -> None:
        """Ask the server to end; safe to call twice."""
        self._stopping.set()

    def emit(self, event: str, params: dict[str, Any], owners: frozenset[int]) -> None:
        """Send a notification to each client that wants it.

        Args:
            event: its name.
            params: what it carries.
            owners: the clients whose track it is.
        """
        for client in list(self.clients.values()):
            wishes = client.wishes
            is_theirs = wishes.tracks == "all" or (
                wishes.tracks == "own" and client.number in owners
            )
            if is_theirs and event in wishes.events:
                client.notify(event, params)

    def tell_one(self, client: Connection, event: str, params: dict[str, Any]) -> None:
        """Send one client a notification about a track of its own, if it wants such."""
        if client.wishes.tracks != "none" and event in client.wishes.events:
            client.notify(event, params)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self.clients) >= MAX_CLIENTS or self._stopping.is_set():
            writer.close()
            return
        wishes = Wishes("own", frozenset(notification_names()))
        number, codec = next(self._numbers), self._codec()
        client = Connection(number, reader, writer, codec, self._dispatch, wishes)
        self.clients[client.number] = client
        try:
            await client.serve()
        finally:
            del self.clients[client.number]
            self._busy_until = time.monotonic()
            self.jobs.leave(client.number, keep=self.settings.keeps_tracks_of_gone_clients)

    def _dispatch(self, client: Connection, method: str, params: dict[str, Any]) -> Answer:
        return self._run_method(self, client, method, params)

    async def _produce(self, job: Job, on_progress: OnProgress) -> Track:
        began = time.monotonic()
        part = self.store.part_path(job.track_id)
        task = Task(job.track_id, job.source, job.spec.to_request(), part)
        try:
            done = await self.worker.generate(task, on_progress)
            track = self.store.keep(
                job.spec,
                part,
                duration_sec=done["duration_sec"],
                generation_time_sec=time.monotonic() - began,
                warnings=done["warnings"],
                license_name=job.source.license_name,
            )
            max_bytes = int(self.settings.tracks_max_mb * 1e6)
            self.store.shrink(max_bytes, self.settings.tracks_max_count, keep=job.track_id)
            return track
        finally:
            self.store.discard(part)

    async def _watch_idle(self, limit_sec: float) -> None:
        while True:
            if self.clients or not self.jobs.is_idle():
                self._busy_until = time.monotonic()
            left_sec = self._busy_until + limit_sec - time.monotonic()
            if left_sec <= 0:
                self.stop()
            await asyncio.sleep(min(max(left_sec, 0.05), 1.0))

    async def _end(self, background: list[asyncio.Task[None]]) -> None:
        """Tell the clients, then end what runs; the worker is not waited for."""
        self.jobs.abandon()
        for client in list(self.clients.values()):
            client.close()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self.worker.close()


def serve(settings: Settings) -> int:
    """Run a server until it is told to stop; returns the exit code.

    Raises:
        LofiError: another server lives on the socket, or it cannot be made.
    """
    ready = f"lofi-runtime {VERSION} ready on {settings.socket}"
    return run_until_signalled(Runtime(settings), ready)


def run_until_signalled(runtime: Runtime, ready: str, listener: Listener | None = None) -> int:
    """Run a server until SIGTERM, Ctrl-C or its own end; returns the exit code.

    Args:
        runtime: not running yet.
        ready: said on stderr once clients may come.
        listener: see `Runtime.run`.

    Raises:
        LofiError: as of `Runtime.run`.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, runtime.stop)
        await runtime.run(lambda: _say(ready), listener)

    asyncio.run(main())
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
