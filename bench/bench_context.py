"""A step with the context's keys and values made beforehand against the whole decoder's step.

The full-width float32 decoder with two layers, every weight random and distinct, exported and cut
as the product does it. A step's time is nearly all layers, so the ratio is that of 24 layers too.
Processor time on one thread; runs of both forms are interleaved, so that a noisy moment hits both
alike. What the first graph takes is paid once a track.

Run alone: python bench/bench_context.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from bench_step import LAYERS, export, full_width, inputs, session

from lofi_engine.onnx_graphs.context import split_context
from lofi_engine.onnx_graphs.halves import CONTEXT_INPUTS
from lofi_runtime.decoder import key_value_bytes

EXPORTED_LAYERS = 2
BATCH = 1
TOKENS = (32, 257, 769)
FRAMES = (108, 323)
MIB = 2**20

Feeds = Mapping[str, Any]


@dataclass(frozen=True)
class Forms:
    """The decoder whole and in two graphs, loaded for one thread."""

    whole: onnxruntime.InferenceSession
    context: onnxruntime.InferenceSession
    step: onnxruntime.InferenceSession


@dataclass(frozen=True)
class Timing:
    """Medians in seconds of processor time, and how far the answers are apart."""

    whole_sec: float
    step_sec: float
    context_sec: float
    difference: float


def measure(forms: Forms, feeds: Feeds, rounds: int) -> Timing:
    """Run the forms in turn, after one run each that does not count."""
    of_context = {name: feeds[name] for name in CONTEXT_INPUTS}
    of_step = {name: array for name, array in feeds.items() if name not in CONTEXT_INPUTS}
    names = [value.name for value in forms.context.get_outputs()]
    taken: dict[str, list[float]] = {"whole": [], "context": [], "step": []}
    answers: dict[str, Any] = {}
    for number in range(rounds + 1):
        for form, seconds in taken.items():
            given = {"whole": feeds, "context": of_context}.get(form, of_step)
            start = time.process_time()
            answers[form] = getattr(forms, form).run(None, dict(given))
            if number:
                seconds.append(time.process_time() - start)
            if form == "context":
                of_step |= dict(zip(names, answers[form], strict=True))
    apart = np.abs(answers["whole"][0] - answers["step"][0]).max() / answers["whole"][0].std()
    return Timing(
        *(statistics.median(taken[form]) for form in ("whole", "step", "context")), float(apart)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a step with keys and values made before.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    transformer = full_width(EXPORTED_LAYERS)
    width = transformer.config.inner_dim
    print(f"{width} wide, {EXPORTED_LAYERS} of {LAYERS} layers, batch {BATCH}, float32, ONNX "
          f"Runtime {onnxruntime.__version__}, one thread, medians of {rounds}")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-context-") as folder:
        decoder = export(transformer, Path(folder))
        del transformer
        halves = split_context(decoder)
        forms = Forms(*(session(path, 1) for path in (decoder, *halves)))
        found = {
            (tokens, frames): measure(forms, inputs(BATCH, frames, width, tokens), rounds)
            for tokens in TOKENS
            for frames in FRAMES
        }
        sizes = {path.name: path.stat().st_size for path in sorted(Path(folder).iterdir())}
    report(found, width)
    report_sizes(sizes, decoder.name, [path.name for path in halves])


def report(found: Mapping[tuple[int, int], Timing], width: int) -> None:
    """Print the times."""
    print("| context tokens | frames | whole step | step with keys and values | ratio "
          f"| once a track | held for {LAYERS} layers | largest difference |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for (tokens, frames), timing in found.items():
        held = key_value_bytes(LAYERS, BATCH, tokens, width) / MIB
        print(f"| {tokens} | {frames} | {timing.whole_sec:.3f} s | {timing.step_sec:.3f} s "
              f"| {timing.whole_sec / timing.step_sec:.2f} | {timing.context_sec:.3f} s "
              f"| {held:.0f} MiB | {timing.difference:.1e} |")  # fmt: skip


def report_sizes(sizes: Mapping[str, int], decoder: str, halves: list[str]) -> None:
    """Print what the files take, and what the two graphs add."""
    print("\n| file | bytes |")
    print("|---|---|")
    for name, size in sizes.items():
        print(f"| {name} | {size} |")
    added = sum(sizes[name] for name in halves)
    whole = sum(sizes.values()) - added
    print(f"\n{decoder} with its weights: {whole} bytes; both forms: {whole + added}, "
          f"{added / whole:.4%} more")  # fmt: skip


if __name__ == "__main__":
    main()
