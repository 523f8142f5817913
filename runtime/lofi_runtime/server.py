"""The runtime's server: puts transport, methods, jobs, worker and store together.

Never imports numpy, scipy or onnxruntime: whatever generates lives in the worker.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from lofi_runtime.choosing import AUTO
from lofi_runtime.descriptors import raise_limit
from lofi_runtime.hub.downloads import Downloads
from lofi_runtime.jobs import Job, JobQueue
from lofi_runtime.library import PROCEDURAL, PROCEDURAL_SOURCE, Library
from lofi_runtime.logs import log_event, logging_to
from lofi_runtime.memory import available_bytes, resident_bytes
from lofi_runtime.player.player import Player
from lofi_runtime.player.prefetch import Prefetch
from lofi_runtime.production import Production
from lofi_runtime.requests import specify
from lofi_runtime.rpc.authentication import (
    AuthenticatingCodec,
    RefusingCodec,
    close_unless_in,
)
from lofi_runtime.rpc.connection import Answer, Connection, Wishes
from lofi_runtime.rpc.definitions import load_schema, notification_names
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.messages import Codec
from lofi_runtime.rpc.methods import run_method
from lofi_runtime.rpc.msgpack_rpc import MsgpackCodec
from lofi_runtime.rpc.style_methods import warm
from lofi_runtime.rpc.transport import OnConnection, UnixListener
from lofi_runtime.settings import STDIO, TCP, Settings
from lofi_runtime.tracks import TrackStore
from lofi_runtime.version import VERSION
from lofi_runtime.worker import Worker

log = logging.getLogger(__name__)

MAX_CLIENTS = 512
MAX_REFUSED = 64
"""Clients too many that are being told so; those beyond see their connection end."""
_REMEMBERED = 64
"""Prompts and lyrics of late requests, which an error in their midst might quote."""


class Listener(Protocol):
    """Where clients come from.

    Args:
        token: what a client must show first; None where whoever can connect is this user.
    """

    token: str | None

    @property
    def address(self) -> str:
        """Where clients come from, in words."""
        ...

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
        self.library = Library(
            settings.models, settings.bundle, settings.preferences, self._free_bytes
        )
        self.store = TrackStore(settings.tracks, settings.audio)
        self.worker = Worker(
            settings.worker_command, settings.threads, settings.device, settings.patience
        )
        production = Production(
            self.library,
            self.store,
            self.worker,
            max_bytes=int(settings.tracks_max_mb * 1e6),
            max_count=settings.tracks_max_count,
            deadline_sec=settings.patience.deadline_sec,
        )
        self.jobs = JobQueue(production.produce, self.worker.cancel, self.emit)
        self.downloads = Downloads(settings.models, self.announce)
        self.clients: dict[int, Connection] = {}
        self.player = Player(self.announce, device=settings.audio_device)
        self.prefetch = Prefetch(
            self.player, self.jobs, self.store, self._job_for, lambda: bool(self.clients)
        )
        self._numbers = itertools.count(1)
        self._max_clients, self._refused_count = MAX_CLIENTS, 0
        self._token: str | None = None
        self._asked: deque[Any] = deque(maxlen=_REMEMBERED)
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
            listener: where from; None for what the settings say.

        Raises:
            LofiError: another server lives on the socket, or it cannot be made.
        """
        load_schema()
        listener = listener or make_listener(self)
        self._token, self._max_clients = listener.token, raise_limit(MAX_CLIENTS)
        await listener.open(self._on_connection)
        background = [
            asyncio.create_task(self.jobs.run()),
            asyncio.create_task(self.worker.unload_when_idle()),
            asyncio.create_task(_read_styles()),
        ]
        if self.settings.idle_exit_sec is not None:
            background.append(asyncio.create_task(self._watch_idle(self.settings.idle_exit_sec)))
        if self.library.default_backend == PROCEDURAL:
            background.append(asyncio.create_task(self.worker.warm(PROCEDURAL_SOURCE)))
        self.store.sweep()
        for problem in self.library.damaged():
            log.warning("%s", problem)
        on_ready()
        self.player.devices.look()
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
        log_event(event, params, with_prompt=self.settings.log_prompts)
        self.prefetch.hear(event, params)
        for client in list(self.clients.values()):
            wishes = client.wishes
            is_theirs = wishes.tracks == "all" or (
                wishes.tracks == "own" and client.number in owners
            )
            if is_theirs and event in wishes.events:
                client.notify(event, params)

    def announce(self, event: str, params: dict[str, Any]) -> None:
        """Send a notification that is about no track to each client that wants its kind."""
        for client in list(self.clients.values()):
            self.tell_one(client, event, params)

    def tell_one(self, client: Connection, event: str, params: dict[str, Any]) -> None:
        """Send one client a notification about a track of its own, if it wants such."""
        if client.wishes.tracks != "none" and event in client.wishes.events:
            client.notify(event, params)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._stopping.is_set():
            writer.close()
            return
        if len(self.clients) >= self._max_clients:
            await self._refuse(reader, writer)
            return
        wishes = Wishes("own", frozenset(notification_names()))
        number, codec = next(self._numbers), self._codec()
        timer: asyncio.TimerHandle | None = None
        if self._token is not None:
            codec = guard = AuthenticatingCodec(codec, self._token)
            timer = close_unless_in(guard, writer)
        client = Connection(number, reader, writer, codec, self._dispatch, wishes)
        self.clients[client.number] = client
        log.info("client %d: connected", number)
        try:
            await client.serve()
        finally:
            if timer is not None:
                timer.cancel()
            log.info("client %d: left", number)
            del self.clients[client.number]
            self._busy_until = time.monotonic()
            self.jobs.leave(client.number, keep=self.settings.keeps_tracks_of_gone_clients)

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell a client too many why it is not served, in answer to its first request."""
        if self._refused_count >= MAX_REFUSED:
            writer.close()
            return
        refusal = RpcError(
            "TOO_MANY_CLIENTS",
            f"{self._max_clients} clients are connected, which is the most this server takes",
            hint="close one and connect again",
        )
        codec = RefusingCodec(self._codec(), refusal)
        number = next(self._numbers)
        client = Connection(number, reader, writer, codec, self._dispatch, Wishes("none"))
        self._refused_count += 1
        timer = close_unless_in(codec, writer)
        try:
            await client.serve()
        finally:
            timer.cancel()
            self._refused_count -= 1

    def secrets(self) -> Iterator[str]:
        """Yield what clients wrote and no log may hold: of late requests and the running track."""
        current = self.jobs.current
        if current is not None:
            yield from (current.spec.prompt, current.spec.lyrics)
        yield from (text for text in tuple(self._asked) if isinstance(text, str))
        yield from tuple(self.prefetch.presets)

    def _dispatch(self, client: Connection, method: str, params: dict[str, Any]) -> Answer:
        self._asked.extend(params[name] for name in ("prompt", "lyrics") if name in params)
        return self._run_method(self, client, method, params)

    def _job_for(self, params: dict[str, Any]) -> Job:
        """Make a job of checked parameters of `generate`.

        Raises:
            RpcError: as of `specify`.
        """
        spec, source = specify(params, self.library, self.store)
        return Job(spec, source, may_fall_back=params["precision"] == AUTO)

    def _free_bytes(self) -> int | None:
        """Give the memory a model may take: what the worker holds now, it gives back before."""
        free = available_bytes()
        if free is None or self.worker.pid is None:
            return free
        return free + resident_bytes(self.worker.pid)

    async def _watch_idle(self, limit_sec: float) -> None:
        while True:
            if self.clients or not self.jobs.is_idle() or self.downloads.is_running:
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
        await self.downloads.close()
        await self.player.close()
        await self.worker.close()


def serve(settings: Settings) -> int:
    """Run a server until it is told to stop; returns the exit code.

    Raises:
        LofiError: another server lives on the socket, or it or the log cannot be made.
    """
    return run_until_signalled(Runtime(settings), f"lofi-runtime {VERSION} ready")


def make_listener(runtime: Runtime) -> Listener:
    """Make what the settings say that clients come by."""
    settings = runtime.settings
    if settings.transport == STDIO:
        from lofi_runtime.rpc.stdio import StdioListener

        return StdioListener(runtime.stop)
    if settings.transport == TCP:
        from lofi_runtime.rpc.tcp import TcpListener

        return TcpListener(settings.socket, settings.tcp_port)
    return UnixListener(settings.socket)


async def _read_styles() -> None:
    """Read the styles beside the loop: the first to ask for them would hold up everybody."""
    await asyncio.sleep(1.0)  # whoever started the server waits for its first answer now
    await asyncio.to_thread(warm)


def run_until_signalled(runtime: Runtime, ready: str, listener: Listener | None = None) -> int:
    """Run a server until SIGTERM, Ctrl-C or its own end; returns the exit code.

    Args:
        runtime: not running yet.
        ready: said on stderr once clients may come, with where.
        listener: see `Runtime.run`.

    Raises:
        LofiError: as of `Runtime.run`; or the log cannot be written.
    """
    settings = runtime.settings
    source = listener or make_listener(runtime)

    async def main() -> None:
        _stop_on_signals(runtime)
        await runtime.run(lambda: say(f"{ready} on {source.address}"), source)
        log.info("stopped after %.0f s (process %d)", runtime.uptime_sec, os.getpid())

    with logging_to(settings.log, None if settings.log_prompts else runtime.secrets) as say:
        asyncio.run(main())
    return 0


def _stop_on_signals(runtime: Runtime) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        if sys.platform == "win32":
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(runtime.stop))
        else:
            loop.add_signal_handler(name, runtime.stop)
