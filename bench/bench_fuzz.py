"""Frames no client should send, and clients no server should have; others must not notice.

msgpack goes over the socket, a few frames a connection, while 200 clients dawdle: they send a byte
a second, close one half, hold half a message back or never read. JSON lines go through a pipe to
`lofi-daemon --daemon`. Each request that is a message must be answered exactly once and in order,
none with an internal error; whatever is none may cost its connection and nothing else. Meanwhile a
process of its own pings the server.

Run alone: python bench/bench_fuzz.py [--frames N] [--slow N] [--seed N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
from fuzzed_frames import json_line, msgpack_frame
from pinger import pinging
from served import (
    Client,
    Line,
    Server,
    at_most,
    connect,
    footprint,
    none_of,
    peak_mb,
    percentile,
    report,
    served,
)

from lofi_runtime.rpc.json_rpc import JsonCodec
from lofi_runtime.rpc.messages import Codec, FrameError
from lofi_runtime.rpc.msgpack_rpc import MsgpackCodec

MOST_MB = 150.0
MOST_PING_MS = 100.0
PATIENCE_SEC = 20.0
AT_ONCE = 8
FRAMES_A_CONNECTION = 6
LINES_AT_ONCE = 50
INTERNAL_ERROR = -32603
DAEMON = (sys.executable, "-m", "lofi_runtime.daemon", "--daemon")


Wanted = list[tuple[Any, bytes]]
"""Ids that must be answered, each with the bytes that asked."""


def wanted_of(codec: Codec, data: bytes) -> Wanted:
    """Give what must be answered, up to the first bytes that are no message."""
    found: Wanted = []
    try:
        for incoming in codec.feed(data):
            if incoming.wants_answer:
                found.append((incoming.id, data))
    except FrameError:
        pass
    return found


async def exchange(path: Path, data: bytes) -> list[Any]:
    """Send bytes, close that half, and give every message that comes until the server hangs up."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape")
    messages: list[Any] = []
    try:
        writer.write(data)
        writer.write_eof()
        while piece := await asyncio.wait_for(reader.read(1 << 16), PATIENCE_SEC):
            unpacker.feed(piece)
            messages += unpacker
    except (ConnectionResetError, BrokenPipeError):
        pass  # it hung up before it had read all
    finally:
        writer.transport.abort()
    return messages


def faults_of(wanted: Wanted, answers: list[tuple[Any, Any]]) -> Iterator[str]:
    """Compare the answers, as ids and errors, with what was wanted."""
    for (id_, data), (answered, error) in zip(wanted, answers, strict=False):
        if answered != id_:
            yield f"answer {answered!r:.80} came, due was {id_!r:.80}: {data!r}"
            return
        if error is not None and error["code"] == INTERNAL_ERROR:
            yield f"{error['message']}: {data!r}"
    if len(wanted) != len(answers):
        about = wanted[-1][1] if wanted else b""
        yield f"{len(answers)} answers, due were {len(wanted)}: {about!r}"


async def fuzz_socket(path: Path, frames: int, seed: int) -> list[str]:
    """Send frames, a few a connection, some connections at once; give the faults."""
    faults: list[str] = []
    numbers = iter(range(0, frames, FRAMES_A_CONNECTION))

    async def work() -> None:
        for number in numbers:
            dice = random.Random(f"{seed} {number}")
            some = range(min(FRAMES_A_CONNECTION, frames - number))
            data = b"".join(msgpack_frame(dice) for _ in some)
            wanted = wanted_of(MsgpackCodec(), data)
            try:
                messages = await exchange(path, data)
            except (TimeoutError, OSError, ValueError) as error:
                faults.append(f"{type(error).__name__} {error}: {data!r}")
                continue
            answers = [(frame[1], frame[2]) for frame in messages if frame[0] == 1]
            faults.extend(faults_of(wanted, answers))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return faults


def fuzz_pipe(daemon: subprocess.Popen[bytes], frames: int, seed: int) -> list[str]:
    """Write lines, a few at once, and read what they ask for; give the faults."""
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    faults: list[str] = []
    codec = JsonCodec()
    for number in range(0, frames, LINES_AT_ONCE):
        dice = random.Random(f"{seed} {number}")
        some = range(min(LINES_AT_ONCE, frames - number))
        last = f"end {number}"
        end = json.dumps({"jsonrpc": "2.0", "id": last, "method": "ping"}).encode() + b"\n"
        lines = [*(json_line(dice) for _ in some), end]
        wanted = [one for line in lines for one in wanted_of(codec, line)]
        daemon.stdin.writelines(lines)
        daemon.stdin.flush()
        answers: list[tuple[Any, Any]] = []
        while not answers or answers[-1][0] != last:
            line = daemon.stdout.readline()
            if not line:
                asked = wanted[len(answers)][1]
                return [*faults, f"the daemon ended before it answered {asked!r}"]
            message = json.loads(line)
            if "id" in message:
                answers.append((message["id"], message.get("error")))
        faults.extend(faults_of(wanted, answers))
    return faults


class Dawdler(Client):
    """A client that takes its time.

    Args:
        kind: which of `KINDS`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        if self._kind != "drips":
            transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._dawdle(transport))

    async def _dawdle(self, transport: asyncio.Transport) -> None:
        ping = msgpack.packb([0, 1, "ping", [{}]])
        if self._kind == "drips":
            for number in count():
                transport.write(ping[number % len(ping) :][:1])
                await asyncio.sleep(1.0)
        elif self._kind == "half closed":
            transport.write(ping[:4])
            transport.write_eof()
        elif self._kind == "holds back":
            transport.write(b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xdc\x0f\xff" + b"\x90" * 4094)
        elif self._kind == "never reads":
            transport.write(msgpack.packb([0, 1, "subscribe", [{"tracks": "all"}]]))
            transport.write(b"".join([msgpack.packb([0, 2, "capabilities", [{}]])] * 300))
        else:
            transport.write(b"".join([msgpack.packb([0, 2, "capabilities", [{}]])] * 20))
            transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Drop it."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        if self._task is not None:
            self._task.cancel()


KINDS = ("drips", "half closed", "holds back", "never reads", "asks and half closes")


async def measure_socket(server: Server, frames: int, slow: int, seed: int) -> list[Line]:
    """Fuzz the socket while others dawdle; judge."""
    first = await connect(Client, server.socket)
    await first.call("styles")
    await first.call("expand_prompt", prompt="rain")
    first.close()
    await asyncio.sleep(0.5)
    before = footprint(server.pid)
    with pinging(server.socket) as pings_ms:
        dawdlers = [
            await connect(lambda n=n: Dawdler(KINDS[n % len(KINDS)]), server.socket)  # type: ignore[misc]
            for n in range(slow)
        ]
        began = time.perf_counter()
        faults = await fuzz_socket(server.socket, frames, seed)
        taken_sec = time.perf_counter() - began
        for dawdler in dawdlers:
            dawdler.close()
    await asyncio.sleep(2.0)
    after = footprint(server.pid)
    last = await connect(Client, server.socket)
    asked = {"prompt": "afterwards", "duration_sec": 5, "seed": seed}
    while (await last.call("generate", **asked))["status"] != "complete" and server.is_up():
        await asyncio.sleep(0.1)
    last.close()
    return [
        none_of("lost, doubled, misordered, internal", faults),
        Line("frames a second", f"{frames / taken_sec:.0f}"),
        Line("server up, its next track complete", "True", "True", server.is_up()),
        at_most("resident, most", peak_mb(server.pid), MOST_MB, " MB"),
        Line("resident before, after", f"{before.resident_mb:.1f}, {after.resident_mb:.1f} MB"),
        at_most("descriptors more", after.descriptors - before.descriptors, 0, digits=0),
        Line("others' ping, median", f"{percentile(pings_ms, 0.5):.2f} ms"),
        at_most("others' ping, 99 of 100", percentile(pings_ms, 0.99), MOST_PING_MS, " ms"),
        Line("others' ping, longest", f"{max(pings_ms):.1f} ms"),
    ]


@contextmanager
def daemon_in(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `lofi-daemon --daemon` with a store of its own; no model is there."""
    changed = {"LOFI_CACHE_PATH": str(folder / "tracks"), "XDG_DATA_HOME": str(folder)}
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LOFI_")}
    with (folder / "daemon.log").open("wb") as said:
        pipe = subprocess.PIPE
        daemon = subprocess.Popen(DAEMON, stdin=pipe, stdout=pipe, stderr=said, env=kept | changed)
        try:
            yield daemon
        finally:
            daemon.kill()
            daemon.communicate()


def measure_pipe(daemon: subprocess.Popen[bytes], frames: int, seed: int) -> list[Line]:
    """Fuzz the pipe; judge."""
    began = time.perf_counter()
    faults = fuzz_pipe(daemon, frames, seed)
    taken_sec = time.perf_counter() - began
    is_up = daemon.poll() is None
    return [
        none_of("lost, doubled, misordered, internal", faults),
        Line("lines a second", f"{frames / taken_sec:.0f}"),
        Line("daemon up", str(is_up), "True", is_up),
        at_most("resident, most", peak_mb(daemon.pid) if is_up else 0.0, MOST_MB, " MB"),
    ]


def in_folder(work: Callable[[Path], list[Line]]) -> list[Line]:
    """Call `work` with a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return work(Path(folder))


def run_socket(frames: int, slow: int, seed: int) -> list[Line]:
    """Start a server, fuzz, judge."""

    def work(folder: Path) -> list[Line]:
        with served(folder) as server:
            return asyncio.run(measure_socket(server, frames, slow, seed))

    return in_folder(work)


def run_pipe(frames: int, seed: int) -> list[Line]:
    """Start a daemon, fuzz, judge."""

    def work(folder: Path) -> list[Line]:
        with daemon_in(folder) as daemon:
            return measure_pipe(daemon, frames, seed)

    return in_folder(work)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Fuzz both codecs while clients dawdle.",
        epilog="Example: python bench/bench_fuzz.py --frames 5000 --seed 7",
    )
    parser.add_argument("--frames", type=int, default=100_000, help="of each codec")
    parser.add_argument("--slow", type=int, default=200, help="clients that dawdle")
    parser.add_argument("--seed", type=int, default=1, help="of the frames")
    asked = parser.parse_args()
    socket = run_socket(asked.frames, asked.slow, asked.seed)
    title = f"{asked.frames} msgpack frames, {asked.slow} slow clients, seed {asked.seed}"
    missed = report(title, socket)
    pipe = run_pipe(asked.frames, asked.seed)
    return max(missed, report(f"{asked.frames} JSON lines, seed {asked.seed}", pipe))


if __name__ == "__main__":
    sys.exit(main())
