"""How fast a track is denoised at full width: our int8-fast against PyTorch and plain ONNX.

Layers of the published width with random weights, four ways: our product (`denoise` asking
`Decoder` over the int8-fast graphs, keys and values of the context made once a track), PyTorch
eager in float32 and in bfloat16, and the float32 graph as lofi.nvim's daemon asks it. Processor
time on one thread; all take their steps in turn, so that a noisy moment hits all alike.

A track of ours and of PyTorch's has 27 steps, guided where the reference guides: in the middle half
of the schedule. A guided step asks for two rows: ours in one call, PyTorch in one call or, as the
reference does, in two, whichever is faster. The daemon's track has 60 steps, each guided by plain
CFG in two calls of one row.

A track is its steps' medians times their counts, and what is made once. A whole track is denoised
too, to see that the sum holds. What the server costs besides is measured on a real server, see
`served_overhead.py`.

Wanted: every step of ours, and the track, at least 2 times faster than the faster PyTorch; the
track at least 5 times faster than the daemon's; all that is not the network at most 1 % of a step.

As many layers as the free memory allows, which the first line says; ratios hardly depend on them. A
column scales a track to all 24 (a little too high: what is not a layer is scaled too). A quiet
machine takes a minute and a half for each layer.

With `--device cuda` it times whole tracks of every variant on a CUDA device instead, see
`device_speed.py`; that needs 18 GB of memory and 21 GB of disk.

Exit code 1 where a bound is missed, 2 where there is no such device.

Run alone: python bench/bench_speed.py [--layers N] [--rounds N] [--whole all] [--out FILE]
           python bench/bench_speed.py --device cuda [--layers N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # an idle pool must not spin beside the other's run

import numpy as np
import onnxruntime
import torch
from bench_step import CONTEXT, LAYERS
from bench_variants import WIDTH
from device_speed import on_cuda
from full_width_sides import OURS, PLAIN, TORCH_16, TORCH_32, Side, build_sides
from served_overhead import overhead
from session_clock import SessionClock

FRAMES = {108: 10, 323: 30}
"""Latent frames, and seconds of audio."""
TRACK_FRAMES = 323
LEAST_OVER_TORCH, LEAST_OVER_DAEMON = 2.0, 5.0
MOST_SHARE = 0.01
GIB = 2**30
# Measured: PyTorch holds a layer's 0.4 GB of float32 and their half, ONNX Runtime float32 and int8.
GIB_PER_LAYER, GIB_BESIDES = 1.35, 4.0
PREPARE = "once a track"

Steps = dict[str, dict[str, float]]
"""Median seconds by side, and by "1" or "2" rows or `PREPARE`."""


def fitting_layers() -> int:
    """Give as many layers as the free memory holds (Linux; elsewhere 2)."""
    memory = Path("/proc/meminfo")
    if not memory.exists():
        return 2
    lines = memory.read_text(encoding="utf-8").splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return min(max(int((free * 1024 / GIB - GIB_BESIDES) / GIB_PER_LAYER), 1), LAYERS)


def bfloat16_kind() -> str:
    """Say how this processor multiplies in bfloat16, as torch reports its abilities."""
    abilities = torch.cpu.get_capabilities()
    if abilities.get("amx_bf16"):
        return "AMX tiles"
    if abilities.get("avx512_bf16"):
        return "AVX512-BF16 instructions"
    return "emulated in float32: no AMX, no AVX512-BF16"


def measure(sides: Mapping[str, Side], frames: int, rounds: int) -> Steps:
    """Give the medians of every side's step, taken in turn; the first round does not count."""
    works: dict[tuple[str, str], Callable[[], object]] = {(OURS, PREPARE): sides[OURS].prepare}
    for name, side in sides.items():
        for rows in (1, 2) if side.at_once else (1,):
            works[name, str(rows)] = side.step(rows, frames)
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    for number in range(rounds + 1):
        for key, work in works.items():
            start = time.process_time()
            work()
            if number:
                taken[key].append(time.process_time() - start)
    found: Steps = {name: {} for name in sides}
    for (name, what), seconds in taken.items():
        found[name][what] = statistics.median(seconds)
    return found


def guided_sec(taken: Mapping[str, float]) -> float:
    """Give the seconds of a guided step: two rows in one call, or in two where that is faster."""
    apart = 2 * taken["1"]
    return min(taken.get("2", apart), apart)


def step_sec(name: str, taken: Mapping[str, float]) -> tuple[float, float]:
    """Give the seconds of a plain step and of a guided one; our own asks in one call, always."""
    return taken["1"], taken["2"] if name == OURS else guided_sec(taken)


def track_sec(name: str, side: Side, taken: Mapping[str, float]) -> float:
    """Add a track's steps up."""
    alone, guided = step_sec(name, taken)
    count = len(side.settings.guided_steps)
    steps = (side.settings.inference_steps - count) * alone + count * guided
    return steps + taken.get(PREPARE, 0.0)


def whole_track(name: str, side: Side, frames: int, clock: SessionClock) -> dict[str, float]:
    """Denoise a whole track; give its seconds, and those outside ONNX Runtime."""
    total = side.settings.inference_steps
    start, inside = time.process_time(), clock.sec
    side.track(frames, lambda done, _: say(f"{name}: step {done + 1} of {total}"))
    seconds = time.process_time() - start
    return {"sec": seconds, "outside_sec": seconds - (clock.sec - inside)}


def say(message: str) -> None:
    """Show progress on stderr, where somebody looks at it."""
    if sys.stderr.isatty():
        print(f"\r{message:60}", end="", file=sys.stderr, flush=True)


class Bounds:
    """What was held to a bound, and what missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def least(self, what: str, found: float, wanted: float) -> str:
        """Hold a ratio; give it with its bound for a table."""
        if not found >= wanted:
            self.missed.append(f"{what}: {found:.2f}, at least {wanted:g} wanted")
        return f"{found:.2f} | at least {wanted:g}"

    def most(self, what: str, found: float, wanted: float) -> str:
        """Hold a share; give it with its bound for a table."""
        if not found <= wanted:
            self.missed.append(f"{what}: {found:.3%}, at most {wanted:.0%} wanted")
        return f"{found:.3%} | at most {wanted:.0%}"


def report_steps(steps: Mapping[int, Steps], bounds: Bounds) -> None:
    """Print what a step takes."""
    print("\nSeconds of a step, one thread")
    print(f"| frames | step | {OURS} | {TORCH_32} | {TORCH_16} | {PLAIN} | times faster than the "
          "faster PyTorch | wanted |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for frames, found in steps.items():
        seconds = {name: step_sec(name, taken) for name, taken in found.items()}
        for number, kind in enumerate(("plain", "guided")):
            row = {name: both[number] for name, both in seconds.items()}
            ratio = min(row[TORCH_32], row[TORCH_16]) / row[OURS]
            held = bounds.least(f"{kind} step, {frames} frames", ratio, LEAST_OVER_TORCH)
            cells = " | ".join(f"{row[name]:.3f}" for name in (OURS, TORCH_32, TORCH_16, PLAIN))
            print(f"| {frames} | {kind} | {cells} | {held} |")


def report_tracks(
    sides: Mapping[str, Side], steps: Mapping[int, Steps], layers: int, bounds: Bounds
) -> None:
    """Print what a track takes; the bounds are of 30 s."""
    print("\nSeconds of denoising a track, one thread: medians of steps times their counts")
    print(f"| track | side | steps, guided | seconds | scaled to {LAYERS} layers "
          f"| {OURS} is so many times faster | wanted |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for frames, found in steps.items():
        seconds = {name: track_sec(name, side, found[name]) for name, side in sides.items()}
        faster = min(TORCH_32, TORCH_16, key=lambda name: seconds[name])
        wanted = {faster: LEAST_OVER_TORCH, PLAIN: LEAST_OVER_DAEMON}
        for name, side in sides.items():
            ratio = seconds[name] / seconds[OURS]
            held = f"{ratio:.2f} | "
            if frames == TRACK_FRAMES and name in wanted:
                held = bounds.least(f"{FRAMES[frames]} s, {name}", ratio, wanted[name])
            count = len(side.settings.guided_steps)
            print(f"| {FRAMES[frames]} s | {name} | {side.settings.inference_steps}, {count} "
                  f"| {seconds[name]:.2f} | {seconds[name] * LAYERS / layers:.0f} "
                  f"| {held} |")  # fmt: skip


def report_whole(
    sides: Mapping[str, Side], found: Steps, whole: Mapping[str, Mapping[str, float]]
) -> None:
    """Print how far whole tracks are from the sums."""
    print("\n| whole track, 30 s | seconds | sum of its steps | deviation | outside ONNX Runtime |")
    print("|---|---|---|---|---|")
    for name, taken in whole.items():
        summed = track_sec(name, sides[name], found[name])
        outside = f"{taken['outside_sec'] * 1e3:.1f} ms" if name in (OURS, PLAIN) else "-"
        print(f"| {name} | {taken['sec']:.2f} | {summed:.2f} | {taken['sec'] / summed - 1:+.1%} "
              f"| {outside} |")  # fmt: skip


def report_overhead(content: Mapping[str, Any], layers: int, bounds: Bounds) -> None:
    """Print what a step costs outside the network, and its share of one of full width."""
    print(f"\nOutside the network: a step of ours served, beside its mean of a track at full width "
          f"(scaled to {LAYERS} layers)")  # fmt: skip
    print("| frames | worker: loop, guidance, progress | server: notifications | full-width step "
          "| share | wanted |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    for frames, own in content["overhead"].items():
        step = content["mean_step_sec"][frames] * LAYERS / layers
        share = (own["worker_sec"] + own["server_sec"]) / step
        held = bounds.most(f"overhead, {frames} frames", share, MOST_SHARE)
        print(f"| {frames} | {own['worker_sec'] * 1e3:.2f} ms | {own['server_sec'] * 1e3:.2f} ms "
              f"| {step:.2f} s | {held} |")  # fmt: skip


def head(layers: int, rounds: int) -> str:
    """Say what is measured with what."""
    return (
        f"{layers} of {LAYERS} layers, {WIDTH} wide, context of {CONTEXT} tokens, one thread, "
        f"medians of {rounds}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}"
    )


def on_cpu(layers: int, rounds: int, whole: str, content: dict[str, Any]) -> int:
    """Measure and report; 1 where a bound is missed."""
    print(head(layers, rounds))
    print(f"bfloat16 in PyTorch on this processor: {bfloat16_kind()} "
          f"(torch reports {torch.backends.cpu.get_cpu_capability()})", flush=True)  # fmt: skip
    served = overhead(FRAMES)
    clock, bounds = SessionClock(), Bounds()
    with tempfile.TemporaryDirectory(prefix="bench-speed-") as place:
        sides = build_sides(layers, Path(place))
        steps = {frames: measure(sides, frames, rounds) for frames in FRAMES}
        tracks = {
            name: whole_track(name, sides[name], TRACK_FRAMES, clock)
            for name in (sides if whole == "all" else [OURS])
        }
    report_steps(steps, bounds)
    report_tracks(sides, steps, layers, bounds)
    report_whole(sides, steps[TRACK_FRAMES], tracks)
    means = {
        frames: track_sec(OURS, sides[OURS], found[OURS]) / sides[OURS].settings.inference_steps
        for frames, found in steps.items()
    }
    content |= {
        "head": head(layers, rounds), "layers": layers, "bfloat16": bfloat16_kind(),
        "step_sec": steps, "whole_track": tracks, "mean_step_sec": means,
        "track_sec": {
            frames: {name: track_sec(name, sides[name], taken) for name, taken in found.items()}
            for frames, found in steps.items()
        },
        "overhead": {frames: asdict(own) for frames, own in served.items()},
    }  # fmt: skip
    report_overhead(content, layers, bounds)
    content["missed"] = bounds.missed
    print("\nwanted: " + ("; ".join(bounds.missed) or "holds"))
    return 1 if bounds.missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compare full-width denoising with PyTorch and plain ONNX.",
        epilog="Example: python bench/bench_speed.py --layers 2 --whole all --out speed.json",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--layers", type=int, help="default: as many as the memory allows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", choices=("ours", "all"), default="ours",
                        help="whose whole tracks are denoised besides")  # fmt: skip
    parser.add_argument("--out", type=Path, help="writes the figures as JSON too")
    asked = parser.parse_args()
    content: dict[str, Any] = {}
    if asked.device == "cuda":
        code = on_cuda(asked.layers or LAYERS, asked.rounds, content)
    else:
        code = on_cpu(asked.layers or fitting_layers(), asked.rounds, asked.whole, content)
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
