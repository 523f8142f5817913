"""Kills the process that generates at random moments: every track ends once, nothing is left over.

Tracks are asked for a few at a time; where one that was chosen beforehand begins, its process gets
SIGKILL after a random part of the time that starting it and making a track take. A kill may so hit
a process that loads, composes, writes or does nothing: what it costs is at most the one track.

Run alone: python bench/bench_kills.py [--tracks N] [--kills N] [--seed N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from served import (
    ENDS,
    Client,
    Line,
    Server,
    at_most,
    connect,
    none_of,
    report,
    served,
    store_faults,
)

DURATION_SEC = 20
AHEAD = 3
"""Tracks that are asked for and have not ended."""
PATIENCE_SEC = 60.0
MOST_ERROR_SEC = 1.0


class KillClient(Client):
    """Asks for tracks, and kills the process that makes some of them."""

    def __init__(self, server: Server, tracks: int, kills: int, dice: random.Random) -> None:
        super().__init__()
        self._server = server
        self._tracks = tracks
        self._marked = frozenset(dice.sample(range(1, tracks + 1), kills))
        self._dice = dice
        self._begun_at = 0.0
        self._span_sec = 1.0
        """How long a track takes from its beginning, the process's start included."""
        self._killed_at = 0.0
        self.begun = 0
        self.seeds: dict[str, int] = {}
        """By id: what was asked for."""
        self.ends: dict[str, list[str]] = {}
        self.delays_sec: list[float] = []
        """From a kill to the error it caused."""
        self.kills = 0
        self.killing: set[asyncio.Task[None]] = set()

    def ask(self) -> None:
        """Ask for the next track."""
        seed = len(self.seeds) + 1
        self.seeds[f"asked {seed}"] = seed
        asked = {"prompt": "rain", "duration_sec": DURATION_SEC, "seed": seed}
        self.send("generate", asked)

    def on_answer(self, id_: int, error: Any, result: Any, now: float) -> None:
        """Note the id; a refusal is a track that was lost."""
        self.ends[f"refused: {error}" if error else result["track_id"]] = []

    def on_event(self, name: str, params: dict[str, Any], now: float) -> None:
        """Kill, count, ask for more."""
        if name == "generation_start":
            self.begun, self._begun_at = self.begun + 1, now
            if params["seed"] in self._marked:
                self._begin_killing()
        elif name in ENDS:
            self.ends.setdefault(params["track_id"], []).append(name)
            if name == "generation_complete":
                self._span_sec = max(0.5 * self._span_sec, now - self._begun_at)
            elif name == "generation_error":
                self.delays_sec.append(now - self._killed_at)
            if len(self.seeds) < self._tracks:
                self.ask()

    def _begin_killing(self) -> None:
        task = asyncio.get_running_loop().create_task(self._kill())
        self.killing.add(task)
        task.add_done_callback(self.killing.discard)

    async def _kill(self) -> None:
        await asyncio.sleep(self._dice.uniform(0.0, self._span_sec))
        while (pid := self._server.worker_pid()) is None:
            await asyncio.sleep(0.005)
        self._killed_at = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        self.kills += 1


async def measure(server: Server, tracks: int, kills: int, seed: int) -> list[Line]:
    """Ask for tracks and kill; judge."""
    dice = random.Random(seed)
    client = await connect(lambda: KillClient(server, tracks, kills, dice), server.socket)
    for _ in range(min(AHEAD, tracks)):
        client.ask()
    quiet_since, seen = time.monotonic(), 0
    while sum(map(len, client.ends.values())) < tracks or client.killing:
        ended = sum(map(len, client.ends.values()))
        if ended > seen:
            quiet_since, seen = time.monotonic(), ended
        if time.monotonic() - quiet_since > PATIENCE_SEC:
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)  # a second end would come now
    lines = lines_of(client, tracks, kills)
    client.close()
    last = await connect(Client, server.socket)
    asked = {"prompt": "afterwards", "duration_sec": DURATION_SEC, "seed": 1}
    track_id = (await last.call("generate", **asked))["track_id"]
    while (await last.call("queue_status")).get("current", {}).get("track_id") == track_id:
        await asyncio.sleep(0.05)
    stored = (await last.call("generate", **asked))["status"]
    last.close()
    completed = [one for one, ends in client.ends.items() if "generation_complete" in ends]
    return [
        *lines,
        Line("a track afterwards", stored, "complete", stored == "complete"),
        none_of("faults of the store", store_faults(server.tracks, [*completed, track_id])),
        Line("server up", str(server.is_up()), "True", server.is_up()),
    ]


def lines_of(client: KillClient, tracks: int, kills: int) -> list[Line]:
    """Judge how the tracks ended."""
    ended = Counter(name for ends in client.ends.values() for name in ends)
    errors, complete = ended["generation_error"], ended["generation_complete"]
    odd = [f"{one}: {ends or 'no end'}" for one, ends in client.ends.items() if len(ends) != 1]
    wanted = f"together {tracks}"
    slowest = max(client.delays_sec, default=0.0)
    return [
        Line("kills", f"{client.kills}", f"{kills}", client.kills == kills),
        Line(
            "tracks complete, failed", f"{complete}, {errors}", wanted, complete + errors == tracks
        ),
        none_of("lost or ended twice", odd),
        Line("beginnings told", f"{client.begun}", f"{tracks}", client.begun == tracks),
        Line("failed", f"{errors}", f"at most {client.kills}", errors <= client.kills),
        at_most("from a kill to its error, longest", slowest, MOST_ERROR_SEC, " s", 3),
    ]


def run(tracks: int, kills: int, seed: int) -> list[Line]:
    """Start a server, measure, judge."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, served(Path(folder)) as server:
        return asyncio.run(measure(server, tracks, kills, seed))


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kill the generating process at random moments.",
        epilog="Example: python bench/bench_kills.py --tracks 40 --kills 10",
    )
    parser.add_argument("--tracks", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    asked = parser.parse_args()
    title = f"{asked.tracks} tracks of {DURATION_SEC} s, {asked.kills} kills, seed {asked.seed}"
    return report(title, run(asked.tracks, asked.kills, asked.seed))


if __name__ == "__main__":
    sys.exit(main())
