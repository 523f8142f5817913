"""A real server in a thread, with a real socket and a real worker process, for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lofi_runtime.server import Runtime
from lofi_runtime.settings import Settings
from tests.support.rpc_client import RpcClient
from tests.support.stand_in_worker import STAND_IN_WORKER


@dataclass
class RunningServer:
    """A server that runs until its context ends."""

    settings: Settings
    runtime: Runtime
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop

    def on_loop(self, call: Callable[..., object], *args: object) -> None:
        """Run `call` in the server's event loop."""
        self.loop.call_soon_threadsafe(call, *args)

    def connect(self) -> RpcClient:
        return RpcClient(self.settings.socket)


@contextmanager
def running_server(folder: Path, **changes: object) -> Iterator[RunningServer]:
    """Run a server with everything under `folder`; the stand-in worker unless told otherwise."""
    defaults: dict[str, object] = {
        "socket": folder / "run" / "runtime.sock",
        "tracks": folder / "tracks",
        "models": folder / "models",
        "threads": 1,
        "worker_command": STAND_IN_WORKER,
        "audio_device": "null",
    }
    settings = Settings(**(defaults | changes))
    ready = threading.Event()
    started: list[tuple[Runtime, asyncio.AbstractEventLoop]] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        runtime = Runtime(settings)
        started.append((runtime, asyncio.get_running_loop()))
        await runtime.run(on_ready=ready.set)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(10)
    if failures:
        thread.join()
        raise failures[0]
    runtime, loop = started[0]
    try:
        yield RunningServer(settings, runtime, thread, loop)
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(runtime.stop)
        thread.join(10)
    if failures:
        raise failures[0]
