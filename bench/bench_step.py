"""One denoising step of the full-width transformer: our ONNX float32 graph against torch float32.

Ratios of one run: runs of both are interleaved, so that a noisy moment hits both alike. What is
held to a bound is processor time on one thread; wall time on two threads is reported.

All 24 layers where the memory allows, else fewer, which the first line says; a column then scales
the graph's time to 24 layers (a little too high: what is not a layer is scaled too).

Run alone: python bench/bench_step.py [--layers N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # an idle pool must not spin beside the other's run

import numpy as np
import onnxruntime
import torch

from lofi_engine.models.ace_step_v1.config import ErgConfig, TransformerConfig
from lofi_engine.models.ace_step_v1.published import PUBLISHED, TRANSFORMER
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.onnx_graphs.export import export_graph

LAYERS = 24
FEWER = 2
LEAST_RATIO = 1.3
FILE = "transformer_decoder.onnx"
SIZES = [(batch, frames) for frames in (108, 323) for batch in (1, 2)]
CONTEXT = 64
GIB = 2**30
# A layer's float32 weights are 0.40 GB that run and 0.10 that never do. torch holds them all, ONNX
# Runtime those that run, once more while it packs them; the graph's file is cached besides.
GIB_PER_LAYER = 1.5
GIB_BESIDES = 4.0

Feeds = Mapping[str, Any]


@dataclass(frozen=True)
class Timing:
    """Medians, in seconds."""

    torch_sec: float
    onnx_sec: float

    @property
    def ratio(self) -> float:
        """How many times faster ONNX Runtime is."""
        return self.torch_sec / self.onnx_sec


def fitting_layers() -> int:
    """Give all layers, or the few that any machine holds."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return LAYERS if free > GIB_BESIDES + LAYERS * GIB_PER_LAYER else FEWER


def full_width(layers: int) -> AceStepTransformer:
    """Build the published transformer with `layers` layers, every weight random and distinct."""
    config = TransformerConfig.from_mapping({**PUBLISHED[TRANSFORMER], "num_layers": layers})
    last = min(config.erg.decoder_layers[1], layers)
    erg = ErgConfig(decoder_layers=(last - 1, last))
    torch.manual_seed(0)
    network = AceStepTransformer(replace(config, erg=erg, ssl_encoder_depths=())).eval()
    del network.projectors  # 88 million that only training runs
    return network


def export(transformer: AceStepTransformer, folder: Path) -> Path:
    """Export the decoder as the product does; give the graph."""
    base = replace(build_tiny(), transformer=transformer)
    spec = next(spec for spec in base.graphs() if spec.file == FILE)
    export_graph(spec, folder)
    return folder / FILE


def session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load the graph for so many threads that do not spin."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def inputs(batch: int, frames: int, width: int, tokens: int = CONTEXT) -> Feeds:
    """Give a step's five inputs, with a context of `tokens`."""
    random = np.random.default_rng(0)
    return {
        "hidden_states": random.standard_normal((batch, 8, 16, frames), dtype=np.float32),
        "attention_mask": np.ones((batch, frames), np.float32),
        "encoder_hidden_states": random.standard_normal((batch, tokens, width), dtype=np.float32),
        "encoder_hidden_mask": np.ones((batch, tokens), np.float32),
        "timestep": np.array([500.0], np.float32),
    }


def compare(
    by_torch: Callable[[], object], by_onnx: Callable[[], object], clock: Callable[[], float],
    rounds: int,
) -> Timing:  # fmt: skip
    """Run both in turn after one run each that does not count; give the medians."""
    taken: dict[Callable[[], object], list[float]] = {by_torch: [], by_onnx: []}
    for number in range(rounds + 1):
        for step, seconds in taken.items():
            start = clock()
            step()
            if number:
                seconds.append(clock() - start)
    return Timing(*(statistics.median(seconds) for seconds in taken.values()))


def measure(
    transformer: AceStepTransformer, graph: Path, threads: int, rounds: int
) -> dict[tuple[int, int], Timing]:
    """Time a step at every size."""
    torch.set_num_threads(threads)
    loaded = session(graph, threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    found = {}
    for batch, frames in SIZES:
        feeds = inputs(batch, frames, transformer.config.inner_dim)
        tensors = [torch.from_numpy(array) for array in feeds.values()]

        def by_torch(tensors: list[torch.Tensor] = tensors) -> object:
            with torch.inference_mode():
                return transformer.decode(*tensors)

        def by_onnx(feeds: Feeds = feeds) -> object:
            return loaded.run(None, dict(feeds))

        found[batch, frames] = compare(by_torch, by_onnx, clock, rounds)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Time a denoising step.")
    parser.add_argument("--layers", type=int, default=fitting_layers())
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    layers: int = asked.layers
    share = "all" if layers == LAYERS else "the memory free here does not hold all, so"
    print(f"2560 wide, {share} {layers} of {LAYERS} layers, context of {CONTEXT} tokens, "
          f"torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, "
          f"medians of {asked.rounds}")  # fmt: skip
    transformer = full_width(layers)
    with tempfile.TemporaryDirectory(prefix="bench-step-") as folder:
        graph = export(transformer, Path(folder))
        one = measure(transformer, graph, 1, asked.rounds)
        two = measure(transformer, graph, 2, asked.rounds)
    return report(layers, one, two)


def report(
    layers: int, one: Mapping[tuple[int, int], Timing], two: Mapping[tuple[int, int], Timing]
) -> int:
    """Print the table; give 1 where a ratio falls short."""
    print(f"| batch | frames | torch, 1 thread | ONNX, 1 thread | times faster | ONNX, {LAYERS} "
          "layers | torch, 2 threads (wall) | ONNX, 2 threads (wall) | times faster |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for (batch, frames), alone in one.items():
        pair = two[batch, frames]
        whole = alone.onnx_sec * LAYERS / layers
        print(f"| {batch} | {frames} | {alone.torch_sec:.3f} s | {alone.onnx_sec:.3f} s "
              f"| {alone.ratio:.2f} | {whole:.1f} s | {pair.torch_sec:.3f} s "
              f"| {pair.onnx_sec:.3f} s | {pair.ratio:.2f} |")  # fmt: skip
    least = min(timing.ratio for timing in one.values())
    print(f"\nleast on one thread: {least:.2f} times faster; at least {LEAST_RATIO} is wanted")
    return 0 if least >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
