"""What the variants' forms cost at full width: time, error, memory and loading of the decoder.

Layers of the published width with random weights, exported and stored by the product's own code.
All forms take a step in turn, so that a noisy moment hits all alike: processor time on one thread
is held to bounds, wall time on two is reported beside it. Errors are of the velocity of one layer
alone, relative to its deviation. Memory is of a process of its own that loads the decoder and takes
two steps, less what that process held before (Linux: VmRSS and VmHWM; pages of the file that are
merely mapped are counted).

Wanted: int8-fast takes at least 1.6 times less than float32 at under 3 % of error a layer, int4 not
more than float32. Memory is held to bounds at full size, by bench_full_size.py: what a step works
with weighs more than a layer or two.

Run alone: python bench/bench_variants.py [--layers N] [--rounds N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # an idle pool must not spin beside the other's run

import numpy as np
from bench_step import CONTEXT, FILE, LAYERS, export, full_width, inputs, session

from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.rules import plan_forms
from lofi_engine.quantization.weights import find_weights
from lofi_engine.recipe.model import Variant

AUDIO = ("dcae_decoder", "vocoder")
COMPONENT = FILE.removesuffix(".onnx")
FLOAT32, FAST, INT4 = "float32", "int8-fast", "int4"
VARIANTS = {
    "fp16": Variant("fp16", "auto", 32, None, AUDIO),
    FAST: Variant("int8", "auto", 32, None, AUDIO),
    "int8 weight-only": Variant("int8", "weight-only", 32, None, AUDIO),
    INT4: Variant("int4", "rtn", 32, None, AUDIO),
    "int4, blocks of 128": Variant("int4", "rtn", 128, None, AUDIO),
}
FRAMES = (108, 323)
WIDTH = 2560
LEAST_RATIO = {FAST: 1.6, INT4: 1.0}
MOST_ERROR = {FAST: 0.03}


def stored(source: Path, folder: Path) -> dict[str, Path]:
    """Store the decoder at `source` in every form; give the graphs by name, float32 first."""
    graphs = {FLOAT32: source}
    for name, variant in VARIANTS.items():
        place = folder / name.replace(" ", "-").replace(",", "")
        place.mkdir()
        narrow = variant.weights != "fp16"
        weights = find_weights(load_graph(source, matrices=narrow).graph)
        forms = plan_forms(COMPONENT, weights, variant)
        rewrite_graph(source, place / FILE, forms, matrices=narrow)
        graphs[name] = place / FILE
    return graphs


def timed(
    graphs: Mapping[str, Path], threads: int, rounds: int, batch: int
) -> dict[int, dict[str, float]]:
    """Give the median seconds of a step, by frames and form."""
    clock: Callable[[], float] = time.process_time if threads == 1 else time.perf_counter
    loaded = {name: session(graph, threads) for name, graph in graphs.items()}
    found: dict[int, dict[str, float]] = {}
    for frames in FRAMES:
        feeds = dict(inputs(batch, frames, WIDTH))
        taken: dict[str, list[float]] = {name: [] for name in loaded}
        for number in range(rounds + 1):
            for name, one in loaded.items():
                start = clock()
                one.run(None, feeds)
                if number:  # the first warms up
                    taken[name].append(clock() - start)
        found[frames] = {name: statistics.median(each) for name, each in taken.items()}
    return found


def errors(graphs: Mapping[str, Path]) -> dict[str, float]:
    """Give each form's largest error of the velocity over both lengths."""
    found = dict.fromkeys(VARIANTS, 0.0)
    for frames in FRAMES:
        feeds = dict(inputs(1, frames, WIDTH))
        wanted = session(graphs[FLOAT32], 1).run(None, feeds)[0]
        for name in VARIANTS:
            answer = session(graphs[name], 1).run(None, feeds)[0]
            error = float(np.sqrt(np.mean(np.square(answer - wanted))) / wanted.std())
            found[name] = max(found[name], error)
    return found


def status(name: str) -> int:
    """Give a line of this process's status in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def loaded(graph: Path) -> dict[str, float]:
    """Load a decoder and take two steps; give memory and seconds. Runs in a process of its own."""
    feeds = dict(inputs(1, FRAMES[0], WIDTH))
    before = status("VmRSS")
    start = time.perf_counter()
    opened = session(graph, 1)
    seconds = time.perf_counter() - start
    after_load = status("VmRSS") - before
    for _ in range(2):
        opened.run(None, feeds)
    return {
        "load_sec": seconds,
        "loaded_bytes": after_load,
        "resident_bytes": status("VmRSS") - before,
        "peak_bytes": status("VmHWM") - before,
        "file_bytes": sum(one.stat().st_size for one in graph.parent.glob(f"{COMPONENT}*")),
    }


def in_a_process(graph: Path) -> dict[str, float]:
    """Run `loaded` in a process that has done nothing else."""
    ran = subprocess.run(
        [sys.executable, __file__, "--load", str(graph)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    answer: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def report(found: Mapping[str, Any]) -> bool:
    """Print the tables; say whether all bounds hold."""
    problems = []
    for batch, both in found["steps"].items():
        for threads, by_frames in both.items():
            kind = "processor" if threads == "1" else "wall"
            print(f"\nSeconds a step, {threads} thread(s) ({kind}), batch {batch}; "
                  "times less than float32")  # fmt: skip
            print("| form | " + " | ".join(f"{frames} frames | times" for frames in FRAMES) + " |")
            print("|---|" + "---|---|" * len(FRAMES))
            for name in (FLOAT32, *VARIANTS):
                cells = []
                for frames in FRAMES:
                    taken = by_frames[str(frames)]
                    ratio = taken[FLOAT32] / taken[name]
                    cells.append(f"{taken[name]:.3f} | {ratio:.2f}")
                    if threads == "1" and ratio < LEAST_RATIO.get(name, 0):
                        problems.append(f"{name} at {frames} frames, batch {batch}: {ratio:.2f}")
                print(f"| {name} | {' | '.join(cells)} |")
    print("\n| form | error of a layer | file, MB | loads in, s | resident, MB | over the file "
          "| peak, MB | over the file |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in (FLOAT32, *VARIANTS):
        one, error = found["memory"][name], found["errors"].get(name, 0.0)
        ratios = [one[key] / one["file_bytes"] for key in ("resident_bytes", "peak_bytes")]
        print(f"| {name} | {error:.4f} | {one['file_bytes'] / 1e6:.0f} | {one['load_sec']:.2f} "
              f"| {one['resident_bytes'] / 1e6:.0f} | {ratios[0]:.2f} "
              f"| {one['peak_bytes'] / 1e6:.0f} | {ratios[1]:.2f} |")  # fmt: skip
        if error > MOST_ERROR.get(name, 1):
            problems.append(f"{name}: error {error:.4f}")
    print("\nwanted: " + ("holds" if not problems else "does not hold: " + "; ".join(problems)))
    return not problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the forms at full width.")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="writes the figures as JSON too")
    asked = parser.parse_args()
    if asked.load:
        print(json.dumps(loaded(asked.load)))
        return 0
    print(f"{WIDTH} wide, {asked.layers} of {LAYERS} layers, context of {CONTEXT} tokens, "
          f"medians of {asked.rounds}")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-variants-") as place:
        folder = Path(place)
        one_layer = folder / "one"
        for name in ("one", "all"):
            (folder / name / FLOAT32).mkdir(parents=True)
        one = stored(export(full_width(1), one_layer / FLOAT32), one_layer)
        graphs = stored(export(full_width(asked.layers), folder / "all" / FLOAT32), folder / "all")
        found = {
            "errors": errors(one),
            "steps": {
                str(batch): {
                    str(threads): timed(graphs, threads, asked.rounds, batch) for threads in (1, 2)
                }
                for batch in (1, 2)
            },
            "memory": {name: in_a_process(graph) for name, graph in graphs.items()},
        }
    found = json.loads(json.dumps(found))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
