"""An hour of generating and cancelling: memory, descriptors and threads must not grow.

Tracks are asked for one after another; every third is cancelled at a random moment, and every tenth
is asked for again. The server and the process that generates are looked at every second. A straight
line is laid through the medians of twenty pieces of the time after a fifth of it; it fails where
the line's 95 % interval lies above level and the growth it tells for the whole run is more than the
noise allowed.

The model is the built-in nano's int8 bundle, made first (minutes); --bundle takes one that is
there, --procedural needs none.

Run alone: python bench/bench_soak.py [--minutes N] [--bundle FOLDER | --procedural]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from served import ENDS, Client, Footprint, Line, Server, connect, footprint, report, served

DURATION_SEC, STEPS = 5, 4
WARM_UP_SHARE = 0.2
PIECES = 20
NOISE_MB, NOISE_SHARE = 3.0, 0.03
"""Growth over a whole run that is no leak: the larger of both, of what is resident."""
PATIENCE_SEC = 120.0
STUDENT_95 = 2.1
"""Of a line through twenty points."""


@dataclass
class Samples:
    """What a process held, by the second it was looked at."""

    times: list[float] = field(default_factory=list)
    seen: list[Footprint] = field(default_factory=list)

    def add(self, now: float, pid: int | None) -> None:
        """Look, unless the process is not there just now."""
        try:
            found = footprint(pid) if pid is not None else None
        except OSError:
            found = None
        if found is not None:
            self.times.append(now)
            self.seen.append(found)


@dataclass(frozen=True)
class Trend:
    """A line through samples, told for the whole run.

    Args:
        growth: by which the line rises.
        margin: half of the growth's 95 % interval.
        level: the median.
    """

    growth: float
    margin: float
    level: float


def trend_of(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Lay a line through the medians of pieces: neighbours in time are no independent samples."""
    first = times[0] + WARM_UP_SHARE * (times[-1] - times[0])
    width = (times[-1] - first) / PIECES
    pieces: dict[int, list[float]] = {}
    for moment, value in zip(times, values, strict=True):
        if moment >= first:
            pieces.setdefault(min(int((moment - first) / width), PIECES - 1), []).append(value)
    at = [first + (piece + 0.5) * width for piece in pieces]
    medians = [statistics.median(piece) for piece in pieces.values()]
    slope, base = statistics.linear_regression(at, medians)
    squares = sum((y - base - slope * x) ** 2 for x, y in zip(at, medians, strict=True))
    middle = statistics.fmean(at)
    spread = sum((x - middle) ** 2 for x in at)
    margin = STUDENT_95 * (squares / max(len(at) - 2, 1) / spread) ** 0.5
    whole = times[-1] - times[0]
    return Trend(slope * whole, margin * whole, statistics.median(medians))


class SoakClient(Client):
    """Asks for the next track when one has ended."""

    def __init__(self, asked: dict[str, Any], dice: random.Random) -> None:
        super().__init__()
        self._asked = asked
        self._dice = dice
        self._seed = 0
        self._span_sec = 1.0
        self._begun_at = 0.0
        self.ends: Counter[str] = Counter()
        self.messages: list[str] = []
        self.is_stopping = False
        self.last_end_at = time.monotonic()

    def ask(self) -> None:
        """Ask for a track: a new one, or now and then the last one again."""
        self._seed += self._dice.random() > 0.1
        self.send("generate", {**self._asked, "seed": self._seed})

    def on_answer(self, id_: int, error: Any, result: Any, now: float) -> None:
        """Note refusals."""
        if error is not None:
            self.messages.append(error["message"])

    def on_event(self, name: str, params: dict[str, Any], now: float) -> None:
        """Cancel or go on."""
        if name == "generation_start":
            self._begun_at = now
            if self._dice.random() < 1 / 3:
                wait_sec = self._dice.uniform(0.0, self._span_sec)
                cancel = {"track_id": params["track_id"]}
                asyncio.get_running_loop().call_later(wait_sec, self.send, "cancel", cancel)
        elif name in ENDS:
            self.ends[name] += 1
            self.last_end_at = time.monotonic()
            if name == "generation_complete":
                self._span_sec = max(0.05, min(now - self._begun_at, 60.0))
            elif name == "generation_error":
                self.messages.append(params["message"])
            if not self.is_stopping:
                self.ask()


async def measure(server: Server, minutes: float, asked: dict[str, Any], seed: int) -> list[Line]:
    """Generate and cancel for so long; judge."""
    client = await connect(lambda: SoakClient(asked, random.Random(seed)), server.socket)
    client.ask()
    samples = {"server": Samples(), "worker": Samples()}
    began = time.monotonic()
    every_sec = min(1.0, 60.0 * minutes / 100)
    while (now := time.monotonic() - began) < 60.0 * minutes and server.is_up():
        samples["server"].add(now, server.pid)
        samples["worker"].add(now, server.worker_pid())
        if time.monotonic() - client.last_end_at > PATIENCE_SEC:
            client.messages.append(f"no track ended for {PATIENCE_SEC:g} s")
            break
        await asyncio.sleep(every_sec)
    client.is_stopping = True
    client.close()
    ends = ", ".join(f"{count} {name[11:]}" for name, count in sorted(client.ends.items()))
    failures = client.messages
    shown = f"{len(failures)}: {failures[0]}" if failures else "0"
    lines = [Line("tracks", ends), Line("failures", shown, "0", not failures)]
    for name, held in samples.items():
        lines += lines_of(name, held)
    return lines


def lines_of(name: str, samples: Samples) -> list[Line]:
    """Judge one process."""
    resident = trend_of(samples.times, [one.resident_mb for one in samples.seen])
    allowed = max(NOISE_MB, NOISE_SHARE * resident.level)
    # Grows for certain, and by more than an allocator's moods explain.
    grows = resident.growth - resident.margin > 0.0 and resident.growth > allowed
    found = f"{resident.level:.1f} MB, {resident.growth:+.2f} ± {resident.margin:.2f} MB"
    wanted = f"growth at most {allowed:.1f} MB or within its interval"
    lines = [Line(f"{name}, resident and its growth", found, wanted, not grows)]
    for what in ("descriptors", "threads"):
        values = [getattr(one, what) for one in samples.seen]
        fifth = max(len(values) // 5, 1)
        early = statistics.median(values[fifth : 2 * fifth])
        late = statistics.median(values[-fifth:])
        shown = f"{early:g}, {late:g}"
        lines.append(Line(f"{name}, {what} early, late", shown, "no more", late <= early))
    return lines


def nano_bundle(folder: Path) -> Path:
    """Make the built-in nano's int8 bundle, in a process of its own: it needs what makes models."""
    print("making the int8 bundle of the built-in nano", flush=True)
    maker = Path(__file__).with_name("nano_int8.py")
    done = subprocess.run(
        [sys.executable, str(maker), str(folder)], check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(done.stdout.splitlines()[-1])


def run(minutes: float, seed: int, bundle: Path | None) -> list[Line]:
    """Start a server, measure, judge.

    Args:
        minutes: how long.
        seed: of what is cancelled when.
        bundle: what generates; None for the procedural backend.
    """
    asked: dict[str, Any] = {"prompt": "rain, piano", "duration_sec": DURATION_SEC}
    options: tuple[str, ...] = ("--backend", "procedural")
    if bundle is not None:
        asked |= {"inference_steps": STEPS}
        options = ("--backend", "ace_step", "--bundle", str(bundle))
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        served(Path(folder), *options) as server,
    ):
        lines = asyncio.run(measure(server, minutes, asked, seed))
        return [*lines, Line("server up", str(server.is_up()), "True", server.is_up())]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Generate and cancel for an hour; see whether anything grows.",
        epilog="Example: python bench/bench_soak.py --minutes 5 --procedural",
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1, help="of what is cancelled when")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--bundle", type=Path, help="an installed bundle instead of nano's int8")
    model.add_argument("--procedural", action="store_true", help="no model at all")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-bundle-") as place:
        bundle = asked.bundle
        if bundle is None and not asked.procedural:
            bundle = nano_bundle(Path(place))
        title = f"{asked.minutes:g} minutes with {bundle.name if bundle else 'procedural'}"
        return report(title, run(asked.minutes, asked.seed, bundle))


if __name__ == "__main__":
    sys.exit(main())
