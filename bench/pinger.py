"""Pings a server until its stdin ends, then prints each latency in milliseconds as JSON.

A process of its own: whoever disturbs the server meanwhile does not disturb the clock.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack

INTERVAL_SEC, PATIENCE_SEC = 0.02, 10.0


@contextmanager
def pinging(path: Path) -> Iterator[list[float]]:
    """Ping the server on `path` for as long as the context lasts; the list is filled at its end.

    Raises:
        RuntimeError: a ping was not answered.
    """
    command = [sys.executable, __file__, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    latencies_ms: list[float] = []
    try:
        yield latencies_ms
        out, _ = process.communicate(timeout=2 * PATIENCE_SEC)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError("a ping was not answered")
    latencies_ms += json.loads(out)


def main() -> None:
    taken: list[float] = []
    unpacker = msgpack.Unpacker()
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(PATIENCE_SEC)
        server.connect(sys.argv[1])
        while not select.select([sys.stdin], [], [], INTERVAL_SEC)[0]:
            began = time.perf_counter()
            server.sendall(msgpack.packb([0, len(taken), "ping", [{}]]))
            for frame in iter(lambda: next(unpacker, None), [1]):
                if frame is not None:
                    break
                unpacker.feed(server.recv(1 << 16) or b"\xc1")
            taken.append(1e3 * (time.perf_counter() - began))
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
