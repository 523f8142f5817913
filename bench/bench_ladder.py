"""How far each variant's final latents are from float32's, on the small base that has learned.

The base is exported and quantized by the recipe's own stages; every bundle denoises the same
prompts from the same noise, on one thread. The distance is the root-mean-square difference over
float32's deviation.

Wanted: fp16 < int8-fast < int8 < int4; the better of awq and gptq at least 15 % nearer than
round-to-nearest at the same bytes; and larger blocks, with a budget that lifts what errs most,
nearer than the smaller blocks that take as many bytes ("int4 mixed" against "int4").

Run alone: python bench/bench_ladder.py [--base FOLDER] [--seeds N] [--prompts N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench_nano import AUDIO, FLOAT32, export_base, make_variants

from lofi_engine.measuring.distance import latent_distance
from lofi_engine.measuring.render import QUALITY_THREADS, Probe, final_latents, open_unpublished
from lofi_engine.metrics.bootstrap import mean_interval
from lofi_engine.models.ace_step_v1.builtin import NANO
from lofi_engine.recipe.model import Base, Variant
from lofi_engine.stages import quantize
from lofi_engine.styles.source import StylesSource
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION
from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import load_styles

BLOCK_SIZE, MIXED_BLOCK_SIZE = 32, 64
MIXED = "int4 mixed"
LEAST_GAIN = 0.15
LADDER = ("fp16", "int8-fast", "int8", "int4")
METHODS = ("rtn", "hqq", "k-quant", "awq", "gptq")


def variants(max_bytes: int | None) -> dict[str, Variant]:
    """Give the variants that are compared; int8 has a budget between int8-fast and int4."""
    made = {
        "fp16": Variant("fp16", "auto", BLOCK_SIZE, None, AUDIO),
        "int8-fast": Variant("int8", "auto", BLOCK_SIZE, None, AUDIO),
        "int4": Variant("int4", "gptq", BLOCK_SIZE, None, AUDIO),
    }
    if max_bytes is not None:
        made["int8"] = Variant("int8", "gptq", BLOCK_SIZE, max_bytes, AUDIO)
    made |= {f"int4 {name}": Variant("int4", name, BLOCK_SIZE, None, AUDIO) for name in METHODS}
    return made


def probes(seeds: int) -> list[Probe]:
    """Give a prompt of each style in turn."""
    styles = list(load_styles().values())
    chosen = [styles[number % len(styles)] for number in range(seeds)]
    return [Probe(expand_style(style, seed), seed, style.id) for seed, style in enumerate(chosen)]


def size_bytes(folder: Path) -> int:
    """Give the bytes of a bundle's graphs and weights."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.name != "record.json")


def measure(bundles: Mapping[str, Path], asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Denoise all probes with every bundle; give distances by variant."""
    pipeline = json.loads((bundles[FLOAT32] / "model.json").read_text(encoding="utf-8"))["pipeline"]
    asked_of = probes(asked.seeds)
    found: dict[str, dict[str, Any]] = {}
    reference = None
    for name, folder in bundles.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        backend = open_unpublished(folder, pipeline, QUALITY_THREADS)
        latents = final_latents(
            backend, asked_of, steps=asked.steps, duration_sec=asked.duration_sec
        )
        if reference is None:
            reference = latents
            continue
        each = [latent_distance(*pair) for pair in zip(latents, reference, strict=True)]
        interval = mean_interval(each, span=(0.0, float("inf")))
        found[name] = {
            "bytes": size_bytes(folder),
            "mean": sum(each) / len(each),
            "low": interval.low,
            "high": interval.high,
        }
    return found


def report(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the table and what is wanted of it."""
    print(f"{'':14}{'MB':>8}{'distance':>10}  95 % interval")
    for name, one in found.items():
        print(
            f"{name:14}{one['bytes'] / 1e6:8.2f}{one['mean']:10.5f}"
            f"  {one['low']:.5f} to {one['high']:.5f}"
        )
    steps = [found[name]["mean"] for name in LADDER if name in found]
    order = " < ".join(
        sorted((name for name in LADDER if name in found), key=lambda n: found[n]["mean"])
    )
    verdict = "holds" if steps == sorted(steps) else f"does not hold, it is {order}"
    print(f"wanted: {' < '.join(LADDER)}: {verdict}")
    gain = 1 - found[MIXED]["mean"] / found["int4"]["mean"]
    print(f"{MIXED}: {gain:+.1%} nearer than int4 in {found[MIXED]['bytes']:,} bytes, which takes "
          f"{found['int4']['bytes']:,}; more than nothing is wanted")  # fmt: skip
    plain = found["int4 rtn"]["mean"]
    gains = {name: 1 - found[f"int4 {name}"]["mean"] / plain for name in METHODS[1:]}
    told = ", ".join(f"{name} {gain:+.1%}" for name, gain in gains.items())
    print(f"nearer than rtn: {told}; {LEAST_GAIN:.0%} is wanted of awq or gptq")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare a base's variants with float32.")
    parser.add_argument("--base", default=NANO, help="a built-in base or a folder")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=128, help="of calibration")
    parser.add_argument("--steps", type=int, default=27)
    parser.add_argument("--duration-sec", type=int, default=10)
    parser.add_argument("--max-bytes", type=int, help="of int8; left out where not given")
    parser.add_argument("--out", type=Path, help="writes the figures as JSON too")
    asked = parser.parse_args()
    calibrating = quantize.Calibrating(
        asked.prompts, asked.duration_sec, StylesSource(None, ""), PIPELINE_VERSION
    )
    reference = Base("ace-step-v1", asked.base, "main", None)
    with tempfile.TemporaryDirectory(prefix="bench-ladder-") as place:
        exported = export_base(reference, Path(place), 1)
        settings = quantize.Settings(variants(asked.max_bytes), calibrating)
        bundles = {FLOAT32: exported} | make_variants(exported, Path(place), 1, settings)
        budget = json.loads((bundles["int4"] / "record.json").read_text(encoding="utf-8"))
        mixed = Variant("int4", "gptq", MIXED_BLOCK_SIZE, budget["total_bytes"], AUDIO)
        bundles |= make_variants(
            exported, Path(place), 1, quantize.Settings({MIXED: mixed}, calibrating)
        )
        found = measure(bundles, asked)
    print(
        f"{asked.base}: {asked.seeds} seeds, {asked.duration_sec} s, {asked.steps} steps, "
        f"blocks of {BLOCK_SIZE}, {asked.prompts} calibration prompts"
    )
    report(found)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
