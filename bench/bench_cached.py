"""What a repeated request costs: `generate` answered from the store, over the real socket.

A server with a store of many tracks is asked for one of them again and again, between pings, in one
run. The wanted answer takes under 10 ms at the 99th percentile. The store is filled with small
files: nothing on the way reads a sound, and the bench would tell if something listed the folder.

Run alone: python bench/bench_cached.py [--tracks N] [--rounds N]
"""

from __future__ import annotations

import argparse
import itertools
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.library import Library
from lofi_runtime.requests import specify
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.tracks import TrackStore

MOST_MS = 10.0
REQUEST = {"prompt": "rainy night coding", "style": "SEASON-06", "duration_sec": 30, "seed": 7}


class Client:
    """Asks one thing at a time and drops the notifications that come between."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._unpacker = msgpack.Unpacker(raw=False)
        self._numbers = itertools.count(1)

    def call(self, method: str, **params: Any) -> Any:
        """Return the answer."""
        number = next(self._numbers)
        self._socket.sendall(msgpack.packb([0, number, method, [params]]))
        while True:
            for frame in self._unpacker:
                if frame[0] == 1 and frame[1] == number:
                    if frame[2] is not None:
                        raise RuntimeError(frame[2]["message"])
                    return frame[3]
            self._unpacker.feed(self._socket.recv(1 << 16))


def fill(folder: Path, tracks: int) -> None:
    """Put finished tracks into a store; the one that is asked for is among them."""
    store, library = TrackStore(folder / "tracks"), Library(folder / "models")
    for number in range(tracks):
        params = check_params("generate", REQUEST | {"seed": REQUEST["seed"] + number})
        spec, _ = specify(params, library)
        part = store.part_path(spec.track_id)
        part.write_bytes(b"RIFF" * 256)
        store.keep(spec, part, duration_sec=30.0, generation_time_sec=1.0, warnings=[])


def timed(client: Client, rounds: int) -> dict[str, list[float]]:
    """Give the milliseconds of each call, pings and repeated requests in turn."""
    taken: dict[str, list[float]] = {"ping": [], "generate": []}
    for _ in range(rounds):
        for method, params in (("ping", {}), ("generate", REQUEST)):
            clock = time.perf_counter()
            answer = client.call(method, **params)
            taken[method].append(1000 * (time.perf_counter() - clock))
            if method == "generate" and answer["status"] != "complete":
                raise RuntimeError(f"answered {answer['status']}, not from the store")
    return taken


def serving(folder: Path) -> subprocess.Popen[str]:
    """Start a server and wait until it is ready."""
    command = [sys.executable, "-m", "lofi_runtime.cli", "serve"]
    places = {"--socket": "s", "--tracks": "tracks", "--models": "models"}
    command += [word for flag, name in places.items() for word in (flag, str(folder / name))]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    if server.stderr is None or " ready on " not in server.stderr.readline():
        raise RuntimeError("the server did not start")
    return server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lofi") as name:
        folder = Path(name)
        fill(folder, asked.tracks)
        server = serving(folder)
        try:
            client = Client(folder / "s")
            timed(client, 20)
            taken = timed(client, asked.rounds)
        finally:
            server.terminate()
            server.wait(10)
    print(f"| call, {asked.tracks} tracks in the store | p50 | p99 | worst |")
    print("|---|---|---|---|")
    p50, p99 = {}, {}
    for method, values in taken.items():
        values.sort()
        p50[method], p99[method] = values[len(values) // 2], values[int(0.99 * len(values))]
        print(f"| {method} | {p50[method]:.2f} ms | {p99[method]:.2f} ms | {values[-1]:.2f} ms |")
    print(f"a repeated request takes {p50['generate'] / p50['ping']:.1f} times a ping (p50)")
    is_met = p99["generate"] < MOST_MS
    print(f"p99 under {MOST_MS:g} ms: {'yes' if is_met else 'NO'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    raise SystemExit(main())
