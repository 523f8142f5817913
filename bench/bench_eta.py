"""How far the runtime's estimate of a track's end is off, while the track is made.

A real server, its worker and a bundle; each `generation_progress` says when the track would end.
The error is the estimate of the whole time against the time it took, from the fourth step on;
within 10 % is wanted. A model's first track is shown apart: what follows denoising is known from
the publisher's machine alone, until one was made.

Run alone: python bench/bench_eta.py BUNDLE [--tracks N] [--duration-sec N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lofi_runtime.worker import WORKER_COMMAND
from tests.support.rpc_client import RpcClient
from tests.support.rpc_server import running_server

FIRST_STEP = 3
MOST_ERROR = 0.10


def errors(client: RpcClient, duration_sec: int, seed: int) -> list[float]:
    """Make a track; give each estimate's error as a share of the whole."""
    began = time.monotonic()
    client.call("generate", prompt="rainy night coding", duration_sec=duration_sec, seed=seed)
    told: list[tuple[float, float]] = []
    while True:
        event = client.wait_for("generation_progress", "generation_complete", "generation_error")
        now = time.monotonic() - began
        if event["event"] != "generation_progress":
            break
        if event["stage"] == "denoise" and event["current_step"] >= FIRST_STEP:
            told.append((now, event["eta_sec"]))
    if event["event"] == "generation_error":
        raise SystemExit(f"bench_eta: {event['message']}")
    return [(at + eta_sec) / now - 1.0 for at, eta_sec in told]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Example: python bench/bench_eta.py published/lofi-nano-night-int8 --tracks 5",
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--tracks", type=int, default=5)
    parser.add_argument("--duration-sec", type=int, default=60)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-eta-") as folder,
        running_server(
            Path(folder), bundle=asked.bundle, worker_command=WORKER_COMMAND, threads=2
        ) as server,
        RpcClient(server.settings.socket, timeout_sec=600) as client,
    ):
        found = [errors(client, asked.duration_sec, seed) for seed in range(asked.tracks)]
    print(f"{asked.duration_sec} s of sound, 27 steps, estimates from step {FIRST_STEP + 1} on")
    print("| track | median error | largest error |")
    print("|---|---|---|")
    for number, track in enumerate(found):
        sizes = [abs(error) for error in track]
        print(f"| {number + 1} | {statistics.median(sizes):.1%} | {max(sizes):.1%} |")
    later = [abs(error) for track in found[1:] for error in track]
    share = sum(error <= MOST_ERROR for error in later) / len(later)
    print(f"\nafter the first track {share:.0%} of the estimates are within {MOST_ERROR:.0%}")
    return 0 if statistics.median(later) <= MOST_ERROR else 1


if __name__ == "__main__":
    sys.exit(main())
