"""What the denoising loop itself costs, in NumPy, beside the network it asks.

The loop (scheduler, guidance, noise that PingPong adds) runs over a velocity that hands back a
prepared array, so that nothing but the loop is timed. The network's step is that of the full-width
ONNX float32 decoder with 2 of its 24 layers, times 12: what is not a layer is counted 12 times too,
which is little. Processor time on one thread, both in the same run; a share of at most 1 % is
wanted.

A guided step is a network call of 2 rows and APG, a plain one a call of 1 row. Every step of a run
is the one or the other here.

Run alone: python bench/bench_loop.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench_step import FEWER, LAYERS, export, full_width, inputs, session

from lofi_runtime.pipeline.denoise import DenoiseSettings, guided_prediction, walk
from lofi_runtime.pipeline.noise import starting_noise, step_noise_of
from lofi_runtime.pipeline.schedulers import SCHEDULERS, make_scheduler

FRAMES = (108, 323, 2584)
STEPS = 20
MOST_SHARE = 0.01


def processor_sec(work: Callable[[], object], rounds: int) -> float:
    """Give the median processor time of `work`."""
    taken = []
    for _ in range(rounds):
        clock = time.process_time()
        work()
        taken.append(time.process_time() - clock)
    return statistics.median(taken)


def loop_sec(name: str, frames: int, rows: int, rounds: int) -> float:
    """Time the loop alone, for one evaluation of `rows` rows: 2 are guided, 1 is not."""
    shape = (1, 8, 16, frames)
    start = starting_noise(0, shape)
    answer = starting_noise(1, (rows, *shape[1:]))
    # Guided throughout; Heun evaluates more often than it has steps, so more steps are told.
    settings = DenoiseSettings(
        2 * STEPS, guidance_scale=15.0 if rows == 2 else 1.0, guidance_interval=1.0
    )

    def run() -> int:
        scheduler = make_scheduler(name, STEPS, noise=step_noise_of(0, shape))
        predict = guided_prediction(lambda *_: answer, None, "both", settings)
        walk(scheduler, predict, start)
        return len(scheduler.timesteps)

    return processor_sec(run, rounds) / run()


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the denoising loop's own work.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    transformer = full_width(FEWER)
    steps: dict[tuple[int, int], float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-loop-") as folder:
        network = session(export(transformer, Path(folder)), 1)
        for frames in FRAMES:
            for rows in (1, 2):
                feeds = dict(inputs(rows, frames, transformer.config.inner_dim))
                # One run of the longest says enough, and takes half a minute.
                times = rounds if frames < max(FRAMES) else 1
                step = processor_sec(partial(network.run, None, feeds), times)
                steps[frames, rows] = step * LAYERS / FEWER
    print(
        f"loop per evaluation, median of {rounds} runs of {STEPS} steps, beside the network's step"
        f" ({FEWER} of {LAYERS} layers, scaled)"
    )
    print(
        "| frames | scheduler | loop, APG | network, 2 rows | share | loop, plain "
        "| network, 1 row | share |"
    )
    print("|---|---|---|---|---|---|---|---|")
    worst = 0.0
    for frames in FRAMES:
        for scheduler in SCHEDULERS:
            cells = []
            for rows in (2, 1):
                own, whole = loop_sec(scheduler, frames, rows, rounds), steps[frames, rows]
                worst = max(worst, own / whole)
                cells += [f"{own * 1e3:.2f} ms", f"{whole:.2f} s", f"{own / whole:.3%}"]
            print(f"| {frames} | {scheduler} | {' | '.join(cells)} |")
    print(f"\nlargest share: {worst:.3%}; at most {MOST_SHARE:.0%} is wanted")
    return 0 if worst <= MOST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
