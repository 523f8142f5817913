"""Two hundred clients at once, a thousand mixed requests a second, while a track is generated.

Requests are sent by the clock, whether or not earlier ones were answered. Each must be answered
exactly once and in the order of its connection; no track is told of before the answer to its
`generate`, none after its end, and each that was accepted ends exactly once. A ping's latency runs
from the moment it is written. Afterwards the server must hold as much as before.

Run alone: python bench/bench_load.py [--clients N] [--requests N] [--rate N] [--seed N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from served import (
    ENDS,
    Client,
    Footprint,
    Line,
    Server,
    at_most,
    connect,
    footprint,
    none_of,
    percentile,
    processor_sec,
    report,
    served,
)

MOST_PING_MS = 20.0
MOST_GROWTH_MB = 5.0
SHORT_SEC, LONG_SEC = 5, 120
SETTLE_SEC = 30.0
NOWHERE = "0" * 16
MIX = {
    "ping": 450, "status": 100, "queue_status": 100, "capabilities": 20, "get_backends": 20,
    "styles": 10, "expand_prompt": 10, "subscribe": 10, "generate": 100, "again": 30, "cancel": 60,
    "cache_stats": 30, "cache_list": 20, "cache_delete": 10, "cache_clear": 1, "no_such_method": 20,
    "wrong_duration": 20, "wrong_parameter": 10,
}  # fmt: skip
"""Of a thousand requests, about so many of each kind."""


@dataclass
class Heard:
    """What all clients together found."""

    faults: list[str] = field(default_factory=list)
    answers: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    ping_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)


class LoadClient(Client):
    """Asks without waiting, and checks what comes back."""

    def __init__(self, number: int, heard: Heard) -> None:
        super().__init__()
        self._number = number
        self._heard = heard
        self._waiting: deque[tuple[int, str, float]] = deque()
        self._made = 0
        self._tracks: Counter[str] = Counter()
        """How many ends each track still owes; one that owes none any more stays, with 0."""
        self._last = NOWHERE

    @property
    def owes(self) -> int:
        """Answers and ends of tracks that have not come."""
        return len(self._waiting) + sum(self._tracks.values())

    def ask(self, kind: str) -> None:
        """Write a request of that kind."""
        method, params = self._request(kind)
        self._waiting.append((self.send(method, params), kind, time.perf_counter()))

    def withdraw(self) -> None:
        """Cancel what still waits or runs, once all answers are there."""
        if self._waiting:
            return
        for track_id, owed in self._tracks.items():
            if owed:
                id_ = self.send("cancel", {"track_id": track_id})
                self._waiting.append((id_, "cancel", time.perf_counter()))

    def _request(self, kind: str) -> tuple[str, dict[str, Any]]:
        if kind == "generate":
            self._made += 1
            # Every fiftieth client asks for the same tracks, so that some have several owners.
            seed = 1000 * (1 + self._number % 50) + self._made
            return kind, {"prompt": "rain", "duration_sec": SHORT_SEC, "seed": seed}
        others: dict[str, tuple[str, dict[str, Any]]] = {
            "again": ("generate", {"prompt": "rain", "duration_sec": SHORT_SEC, "seed": 0}),
            "cancel": ("cancel", {"track_id": self._last}),
            "cache_delete": ("cache_delete", {"track_id": self._last}),
            "cache_list": ("cache_list", {"limit": 50}),
            "expand_prompt": ("expand_prompt", {"prompt": "rain", "seed": 1}),
            "wrong_duration": ("generate", {"prompt": "rain", "duration_sec": -1}),
            "wrong_parameter": ("ping", {"pong": 1}),
        }
        return others.get(kind, (kind, {}))

    def on_answer(self, id_: int, error: Any, result: Any, now: float) -> None:
        """Check that it is the one that is due."""
        if not self._waiting or self._waiting[0][0] != id_:
            due = self._waiting[0][0] if self._waiting else "none"
            self._heard.faults.append(f"client {self._number}: answer {id_} came, due was {due}")
            return
        _, kind, sent = self._waiting.popleft()
        self._heard.answers += 1
        if kind == "ping":
            self._heard.ping_ms.append(1e3 * (now - sent))
        is_wrong = kind.startswith(("wrong", "no_such"))
        if error is not None:
            name = error["data"]["error_code"]
            self._heard.refusals[name] += 1
            if not is_wrong and name != "QUEUE_FULL":
                self._heard.faults.append(f"client {self._number}: {kind}: {error}")
        elif is_wrong:
            self._heard.faults.append(f"client {self._number}: {kind} was answered")
        elif kind in ("generate", "again"):
            self._accept(kind, result)

    def _accept(self, kind: str, result: dict[str, Any]) -> None:
        track_id = result["track_id"]
        if result["status"] == "complete":
            self._tracks[track_id] += 1
        else:
            # Asked for again while it is on its way, it still ends once.
            self._tracks[track_id] = max(self._tracks[track_id], 1)
            if kind == "generate":
                self._last = track_id

    def on_event(self, name: str, params: dict[str, Any], now: float) -> None:
        """Check that its track is on its way."""
        track_id = params["track_id"]
        if self._tracks.get(track_id, 0) == 0:
            when = "after its end" if track_id in self._tracks else "before its answer"
            self._heard.faults.append(f"client {self._number}: {name} of {track_id} {when}")
        elif name in ENDS:
            self._tracks[track_id] -= 1
            self._heard.ends[name] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it as a fault if anything was still owed."""
        super().connection_lost(exc)
        if self.owes:
            self._heard.faults.append(f"client {self._number}: lost with {self.owes} owed ({exc})")


class LongClient(Client):
    """Keeps the worker busy: asks for the next long track when one has ended."""

    def __init__(self) -> None:
        super().__init__()
        self._made = 0

    def begin(self) -> None:
        """Ask for a long track that goes before all others."""
        self._made += 1
        asked = {"prompt": "night", "duration_sec": LONG_SEC, "seed": self._made}
        self.send("generate", {**asked, "priority": "high"})

    def on_answer(self, id_: int, error: Any, result: Any, now: float) -> None:
        """Ask again soon where the queue was full."""
        if error is not None:
            asyncio.get_running_loop().call_later(0.02, self.begin)

    def on_event(self, name: str, params: dict[str, Any], now: float) -> None:
        """Go on."""
        if name in ENDS:
            self.begin()


async def send_all(clients: list[LoadClient], kinds: list[str], rate: float, heard: Heard) -> None:
    """Send each request when it is due."""
    began = time.perf_counter()
    for number, kind in enumerate(kinds):
        due = began + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        heard.late_ms.append(1e3 * (time.perf_counter() - due))
        clients[number % len(clients)].ask(kind)


async def settle(clients: list[LoadClient]) -> None:
    """Withdraw from every track and wait until nothing is owed, or too long."""
    deadline = time.monotonic() + SETTLE_SEC
    while any(client.owes for client in clients) and time.monotonic() < deadline:
        for client in clients:
            client.withdraw()
        await asyncio.sleep(0.2)


async def crowd(server: Server, client_count: int, heard: Heard) -> list[LoadClient]:
    """Connect all clients at once."""
    opening = (
        connect(lambda n=n: LoadClient(n, heard), server.socket)  # type: ignore[misc]
        for n in range(client_count)
    )
    return list(await asyncio.gather(*opening))


@dataclass(frozen=True)
class Measured:
    """One run."""

    heard: Heard
    owed: int
    first_calls: dict[str, float]
    before: Footprint
    during: Footprint
    after: Footprint
    wall_sec: float
    server_share: float
    worker_share: float


async def warm_up(server: Server) -> dict[str, float]:
    """Call what is called later, so that what is made once is made; give the seconds of each."""
    first = await connect(Client, server.socket)
    await first.call("subscribe", tracks="none")
    await first.call("generate", prompt="rain", duration_sec=SHORT_SEC, seed=0)
    while "current" in await first.call("queue_status"):
        await asyncio.sleep(0.1)
    taken = {}
    for method in ("ping", "capabilities", "get_backends", "styles", "expand_prompt", "cache_list"):
        clock = time.perf_counter()
        await first.call(method, **({"prompt": "rain"} if method == "expand_prompt" else {}))
        taken[method] = time.perf_counter() - clock
    first.close()
    await asyncio.sleep(0.5)
    return taken


async def measure(
    server: Server, client_count: int, request_count: int, rate: float, seed: int
) -> Measured:
    """Put the load on a server that nobody else uses."""
    heard = Heard()
    dice = random.Random(seed)
    first_calls = await warm_up(server)
    visitors = await crowd(server, client_count, Heard())
    for kind in ("status", "capabilities", "cache_list"):
        for visitor in visitors:
            visitor.ask(kind)
    await settle(visitors)
    for visitor in visitors:
        visitor.close()
    await asyncio.sleep(1.0)
    before = footprint(server.pid)
    long = await connect(LongClient, server.socket)
    long.begin()
    clients = await crowd(server, client_count, heard)
    kinds = dice.choices(list(MIX), weights=list(MIX.values()), k=request_count)
    gc.freeze()
    worker = server.worker_pid() or server.pid
    used, began = (processor_sec(server.pid), processor_sec(worker)), time.perf_counter()
    await send_all(clients, kinds, rate, heard)
    wall_sec = time.perf_counter() - began
    shares = [
        (processor_sec(pid) - past) / wall_sec
        for pid, past in zip((server.pid, worker), used, strict=True)
    ]
    during = footprint(server.pid)
    long.close()
    await settle(clients)
    owed = sum(client.owes for client in clients)
    for client in clients:
        client.close()
    await asyncio.sleep(2.0)
    after = footprint(server.pid)
    return Measured(heard, owed, first_calls, before, during, after, wall_sec, *shares)


def lines_of(run: Measured, request_count: int) -> list[Line]:
    """Judge a run."""
    heard, before, after = run.heard, run.before, run.after
    ends = ", ".join(f"{count} {name[11:]}" for name, count in sorted(heard.ends.items()))
    refused = ", ".join(f"{count} {name}" for name, count in sorted(heard.refusals.items()))
    answered = heard.answers
    slowest = max(run.first_calls, key=run.first_calls.__getitem__)
    return [
        Line("answers", f"{answered}", f"at least {request_count}", answered >= request_count),
        none_of("lost, doubled or misordered", heard.faults),
        at_most("answers and ends that never came", run.owed, 0, digits=0),
        Line("ends of tracks", ends),
        Line("refusals", refused),
        Line("ping, median", f"{percentile(heard.ping_ms, 0.5):.2f} ms"),
        at_most("ping, 99 of 100", percentile(heard.ping_ms, 0.99), MOST_PING_MS, " ms", 2),
        Line("ping, longest", f"{max(heard.ping_ms):.1f} ms"),
        Line("longest first call", f"{1e3 * run.first_calls[slowest]:.0f} ms, {slowest}"),
        Line("sent late, 99 of 100", f"{percentile(heard.late_ms, 0.99):.1f} ms"),
        Line("sent a second", f"{request_count / run.wall_sec:.0f}"),
        Line("processor, server", f"{run.server_share:.0%} of a core"),
        Line("processor, worker", f"{run.worker_share:.0%} of a core"),
        Line(
            "resident before, during", f"{before.resident_mb:.1f}, {run.during.resident_mb:.1f} MB"
        ),
        at_most(
            "resident afterwards, more than before",
            after.resident_mb - before.resident_mb,
            MOST_GROWTH_MB,
            " MB",
        ),
        at_most("descriptors more", after.descriptors - before.descriptors, 0, digits=0),
        at_most("threads more", after.threads - before.threads, 0, digits=0),
    ]


def run(client_count: int, request_count: int, rate: float, seed: int) -> list[Line]:
    """Start a server, load it, judge."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder, served(Path(folder)) as server:
        measured = asyncio.run(measure(server, client_count, request_count, rate, seed))
        lines = lines_of(measured, request_count)
        return [*lines, Line("server up", str(server.is_up()), "True", server.is_up())]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Load a server with many clients while it generates.",
        epilog="Example: python bench/bench_load.py --requests 5000",
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    parser.add_argument("--seed", type=int, default=1, help="of the mix")
    asked = parser.parse_args()
    title = (
        f"{asked.clients} clients, {asked.requests} requests at {asked.rate:g} a second, "
        f"seed {asked.seed}"
    )
    return report(title, run(asked.clients, asked.requests, asked.rate, asked.seed))


if __name__ == "__main__":
    sys.exit(main())
