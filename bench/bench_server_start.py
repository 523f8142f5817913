"""How long a server takes until it answers, and how much memory it holds with no model.

A client starts `lofi-runtime serve` and asks `ping` until it is answered; the median of several
starts counts, the first of which finds the files in the disk's cache or not. Resident memory is
what Linux counts as VmRSS, code that is shared with other Python processes included: of the server
alone, and of its worker, which has loaded the synthesiser and idles.

Ends with exit code 1 if a bound is missed.

Run alone: python bench/bench_server_start.py [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgpack

MOST_SEC = 0.6
MOST_MB = 60.0
WORKER_SEC = 10.0


@dataclass(frozen=True)
class Start:
    """One start of a server.

    Args:
        seconds: from the process's start until the first answer.
        processor_sec: of the server until then, which others' work delays less.
        server_mb: resident memory just after that.
        idle_mb: resident memory once the worker idles too.
        worker_mb: the worker's.
    """

    seconds: float
    processor_sec: float
    server_mb: float
    idle_mb: float
    worker_mb: float


def resident_mb(pid: int) -> float:
    """Give a process's resident memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def processor_ticks(pid: int) -> int:
    """Give the processor time a process has used, in the kernel's ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def ping(path: Path) -> None:
    """Ask until the server answers."""
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError:
                time.sleep(0.001)
                continue
            client.sendall(msgpack.packb([0, 1, "ping", [{}]]))
            if client.recv(4096):
                return


def idle_worker(pid: int) -> int:
    """Wait until the server has a worker that has stopped loading; gives its process id."""
    until, before = time.monotonic() + WORKER_SEC, (0, -1)
    while time.monotonic() < until:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        now = (int(children[0]), processor_ticks(int(children[0]))) if children else (0, -1)
        if now == before and now[1] > 0:
            return now[0]
        before = now
        time.sleep(0.5)
    raise SystemExit(f"no worker idles after {WORKER_SEC:g} s")


def start(folder: Path) -> Start:
    """Start a server in an empty home, ask it, look at it and end it."""
    path = folder / "run" / "runtime.sock"
    places = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("DATA", "CACHE")}
    command = [sys.executable, "-m", "lofi_runtime.cli", "serve", "--socket", str(path)]
    began = time.perf_counter()
    with subprocess.Popen(
        command, env={**os.environ, **places}, stderr=subprocess.DEVNULL
    ) as server:
        try:
            ping(path)
            seconds = time.perf_counter() - began
            processor_sec = processor_ticks(server.pid) / os.sysconf("SC_CLK_TCK")
            server_mb, worker = resident_mb(server.pid), idle_worker(server.pid)
            idle_mb, worker_mb = resident_mb(server.pid), resident_mb(worker)
            return Start(seconds, processor_sec, server_mb, idle_mb, worker_mb)
        finally:
            server.terminate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    if sys.platform != "linux":
        print("memory is read from /proc, which only Linux has: nothing is measured")
        return 0
    starts = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="lofi") as name:
            starts.append(start(Path(name)))
    seconds = statistics.median(one.seconds for one in starts)
    server_mb = max(one.idle_mb for one in starts)
    worker_mb = max(one.worker_mb for one in starts)
    load = os.getloadavg()[0]
    print(f"Load average {load:.1f} on {os.cpu_count()} cores: a busy machine starts slower.")
    print()
    print(f"| of {rounds} starts | found | bound |")
    print("|---|---|---|")
    print(f"| until the first ping is answered, median | {seconds:.2f} s | {MOST_SEC:g} s |")
    slowest, fastest = max(one.seconds for one in starts), min(one.seconds for one in starts)
    print(f"| fastest and slowest | {fastest:.2f} and {slowest:.2f} s | |")
    processor_sec = statistics.median(one.processor_sec for one in starts)
    print(f"| processor time until then, median | {processor_sec:.2f} s | |")
    first_mb = max(one.server_mb for one in starts)
    print(f"| the server, just started, resident | {first_mb:.1f} MB | {MOST_MB:g} MB |")
    print(f"| the server beside its worker, resident | {server_mb:.1f} MB | {MOST_MB:g} MB |")
    print(f"| the worker with the synthesiser, idle, resident | {worker_mb:.1f} MB | |")
    print(f"| both | {server_mb + worker_mb:.1f} MB | |")
    return 0 if seconds <= MOST_SEC and server_mb <= MOST_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
