"""A real server process with its clients and its footprint, for the benches of load and faults."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgpack

C = TypeVar("C", bound="Client")

SHOWN = 5
START_SEC, STOP_SEC = 20.0, 10.0
ENDS = ("generation_complete", "generation_error", "generation_cancelled")
"""Notifications of which each track gets exactly one."""


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    resident_mb: float
    descriptors: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Look at a process of this user.

    Raises:
        OSError: it has ended.
    """
    status = _status(pid)
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Footprint(int(status["VmRSS"]) / 1024, descriptors, int(status["Threads"]))


def peak_mb(pid: int) -> float:
    """Give the most a process was ever resident with."""
    return int(_status(pid)["VmHWM"]) / 1024


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = (line.partition(":") for line in lines)
    return {name: (value.split() or [""])[0] for name, _, value in fields}


def processor_sec(pid: int) -> float:
    """Give the processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        process: `lofi-runtime serve`.
        socket: where it listens.
        tracks: its store.
        log: what it says on stderr.
    """

    process: subprocess.Popen[bytes]
    socket: Path
    tracks: Path
    log: Path

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    def worker_pid(self) -> int | None:
        """Give the id of the process that generates, if one lives."""
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                return int(child)
        return None

    def is_up(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Server]:
    """Run a server with everything under `folder` until the context ends.

    Args:
        folder: short: the socket's path lies in it.
        options: of `lofi-runtime serve`.
    """
    socket, tracks, log = folder / "run" / "s", folder / "tracks", folder / "server.log"
    (folder / "run").mkdir(mode=0o700)
    places = ("--socket", socket, "--tracks", tracks, "--models", folder / "models")
    command = [sys.executable, "-m", "lofi_runtime.cli", "serve", *places, "--threads", "1"]
    with log.open("wb") as said:
        process = subprocess.Popen([*map(str, command), *options], stderr=said)
    try:
        _wait_for(lambda: _listens(socket) or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(f"the server did not start: {log.read_text()}")
        yield Server(process, socket, tracks, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SEC)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(path: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SEC
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing happened in {START_SEC:g} s")
        time.sleep(0.02)


class Client(asyncio.Protocol):
    """A connection that never waits: what comes is handed to `on_answer` and `on_event`."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._unpacker = msgpack.Unpacker(raw=False)
        self._transport: asyncio.Transport | None = None
        self._ids = itertools.count(1)
        self._called: dict[int, asyncio.Future[Any]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what still waits for an answer."""
        self.lost.set()
        for future in self._called.values():
            if not future.done():
                future.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        now = time.perf_counter()
        self._unpacker.feed(data)
        for frame in self._unpacker:
            if frame[0] == 1:
                self.on_answer(frame[1], frame[2], frame[3], now)
            else:
                self.on_event(frame[1], frame[2][0], now)

    def on_answer(self, id_: int, error: Any, result: Any, now: float) -> None:
        """Take an answer; `now` is when it came."""
        future = self._called.pop(id_)
        if error is not None:
            future.set_exception(RuntimeError(error["message"]))
        else:
            future.set_result(result)

    def on_event(self, name: str, params: dict[str, Any], now: float) -> None:
        """Take a notification."""

    def send(self, method: str, params: dict[str, Any]) -> int:
        """Write a request; give its id."""
        id_ = next(self._ids)
        self.write(msgpack.packb([0, id_, method, [params]]))
        return id_

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self._transport is not None
        self._transport.write(data)

    def call(self, method: str, **params: Any) -> asyncio.Future[Any]:
        """Write a request; its result can be awaited. Not where `on_answer` is another."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._called[self.send(method, params)] = future
        return future

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.abort()


async def connect(make: Callable[[], C], path: Path) -> C:
    """Connect a client."""
    _, client = await asyncio.get_running_loop().create_unix_connection(make, str(path))
    return client


def store_faults(folder: Path, completed: Sequence[str]) -> list[str]:
    """Say what is wrong with a track store that nobody writes to.

    Args:
        folder: the store.
        completed: the ids that were told to be complete.
    """
    sidecars = {path.stem: path for path in folder.glob("*.json")}
    faults = [f"{path.name} is left over" for path in folder.glob(".*")]
    for path in folder.glob("*.wav"):
        if path.stem not in sidecars:
            faults.append(f"{path.name} has no sidecar")
    for track_id, path in sidecars.items():
        sound = path.with_suffix(".wav")
        wanted = json.loads(path.read_text()).get("size_bytes")
        if not sound.exists() or sound.stat().st_size != wanted:
            faults.append(f"{track_id}.wav is not of {wanted} bytes")
    return faults + [f"{one} was lost" for one in completed if one not in sidecars]


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(frozen=True)
class Line:
    """One figure of a bench's table.

    Args:
        name: what was measured.
        found: the figure, as it is shown.
        wanted: its bound; "" where there is none.
        holds: whether the bound does.
    """

    name: str
    found: str
    wanted: str = ""
    holds: bool = True


def at_most(name: str, found: float, limit: float, unit: str = "", digits: int = 1) -> Line:
    """Give the line of a figure with an upper bound."""
    shown = f"{found:.{digits}f}{unit}"
    return Line(name, shown, f"at most {limit:g}{unit}", found <= limit)


def none_of(name: str, faults: Sequence[str]) -> Line:
    """Give the line of what must not be; the first few are printed whole."""
    for fault in faults[:SHOWN]:
        print(f"{name}: {fault}")
    return Line(name, f"{len(faults)}", "0", not faults)


def report(title: str, lines: Sequence[Line]) -> int:
    """Print the table; give the exit code."""
    print(f"{title}\n\n| | measured | wanted | |\n|---|---|---|---|")
    for line in lines:
        verdict = "" if not line.wanted else "ok" if line.holds else "MISSED"
        print(f"| {line.name} | {line.found} | {line.wanted} | {verdict} |")
    print(flush=True)
    return 0 if all(line.holds for line in lines) else 1
