"""Converts the full-size model to every variant of a recipe; holds `plan` and memory to bounds.

A base with the published configuration and random weights is exported by the product's own stage,
then each variant is stored from it in a process of its own, so that peaks are its own (Linux:
VmHWM). Conversion is what is measured: graphs are written and counted, nothing is compared. Then
the decoder is loaded by another process and takes two steps: memory and seconds over its file.

A random model has no sensitive weights, so budgets are met as `plan` takes it: attention loses
most. Nothing can calibrate AWQ or GPTQ here either, and rounding to the nearest is stored in as
many bytes.

Wanted: conversion under 8 GB at its peak, every component within 2 % of what `plan` says, and the
int4 decoder in at most 1.25 times its file's bytes, 1.5 times at the peak.

The export needs 18 GB of memory and 13 GB of disk, the variants 8 GB more, one at a time.

Run alone: python bench/bench_full_size.py [--layers N] [--export FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_variants import COMPONENT, FILE, in_a_process

from lofi_engine.models.ace_step_v1.parameters import outline
from lofi_engine.models.ace_step_v1.published import PUBLISHED, TRANSFORMER
from lofi_engine.quantization.build import write_variant
from lofi_engine.quantization.estimate import estimate_variant, is_attention
from lofi_engine.quantization.methods import CALIBRATED, NOMINAL_BITS
from lofi_engine.quantization.record import component_bytes
from lofi_engine.quantization.work import Bundle, Work
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Variant
from lofi_engine.stages import export, quantize

RECIPE = Path(__file__).parents[1] / "recipes" / "v1.yaml"
LAYERS = 24
MOST_BYTES = 8e9
MOST_OFF = 0.02
MOST_RESIDENT, MOST_PEAK = 1.25, 1.5
GB = 1e9


class AllAlike:
    """Stands where calibration answers: attention loses more than the rest, all else alike."""

    def error_of(
        self, _component: str, weight: str, form: str, _stored: Callable[[], Any], **_: bool
    ) -> float:
        """Give an error that names and bits decide; to ask what is stored would take hours."""
        return 4.0 ** -int(form.split()[1]) * (1000 if is_attention(weight) else 1)


def exported(layers: int, folder: Path) -> None:
    """Export a random model into `folder`; runs in a process of its own."""
    from bench_export_memory import NAME, Peaks, RandomBase

    from lofi_engine.models.registry import FAMILIES
    from lofi_engine.recipe import model
    from lofi_engine.stages.base import StageContext

    peaks = Peaks()
    FAMILIES[NAME] = RandomBase(layers, peaks)
    merged = folder / "merged"
    (merged / export.MERGED).parent.mkdir(parents=True, exist_ok=True)
    (merged / export.MERGED).touch()
    work = folder / "export"
    work.mkdir()
    context = StageContext("export", work, work, {"merge": merged}, folder, 0, peaks.take)
    export.run(context, export.Settings(model.Base(NAME, "builtin:random", "main", None), 21))


def plain(variant: Variant) -> Variant:
    """Give the variant with rounding to the nearest where it would be calibrated."""
    return replace(variant, method="rtn") if variant.method in CALIBRATED else variant


def converted(source: Path, name: str, variant: Variant) -> dict[str, Any]:
    """Store one variant of the bundle in `source`; give bytes, seconds and the peak."""
    graphs, others = quantize.read_listing(source / quantize.EXPORT_RECORD)
    bundle = Bundle(source, graphs, others, {}, {}, AllAlike())  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=source.parent) as place:
        work = Work(name, plain(variant), bundle, Path(place))
        start, used = time.monotonic(), time.process_time()
        write_variant(work, lambda _stored, message: say(message))
        found = {
            "bits": NOMINAL_BITS[variant.weights],
            "sec": time.monotonic() - start,
            "processor_sec": time.process_time() - used,
            "peak_bytes": peak_bytes(),
            "component_bytes": component_bytes(work.target),
        }
        say(f"{name}: loading {FILE}")
        return found | {"loaded": in_a_process(work.target / FILE)}


def peak_bytes() -> int:
    """Give the most memory this process held so far."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def say(message: str) -> None:
    """Show progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def again(*arguments: str) -> str:
    """Run this file again with `arguments`; give what it prints."""
    ran = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return ran.stdout


def planned(variant: Variant, layers: int) -> Mapping[str, int]:
    """Give the bytes by component that `plan` says."""
    values = {**PUBLISHED, TRANSFORMER: {**PUBLISHED[TRANSFORMER], "num_layers": layers}}
    return estimate_variant(variant, outline(values, "published").graphs).component_bytes


def report(name: str, found: Mapping[str, Any], said: Mapping[str, int]) -> bool:
    """Print one variant's table; say whether it holds to the bounds."""
    peak, minutes = found["peak_bytes"], found["sec"] / 60
    print(f"\n{name}: {minutes:.1f} minutes ({found['processor_sec'] / 60:.1f} of processor), "
          f"peak {peak / GB:.2f} GB")  # fmt: skip
    print("| component | planned, MB | written, MB | off by |")
    print("|---|---|---|---|")
    written: Mapping[str, int] = found["component_bytes"]
    sums = {"total": (sum(said.values()), sum(written[one] for one in said))}
    worst = 0.0
    for component, (one, other) in (
        {key: (said[key], written[key]) for key in said} | sums
    ).items():
        off = other / one - 1
        worst = max(worst, abs(off))
        print(f"| {component} | {one / 1e6:.1f} | {other / 1e6:.1f} | {off:+.2%} |")
    loaded = found["loaded"]
    resident, most = (
        loaded[key] / loaded["file_bytes"] for key in ("resident_bytes", "peak_bytes")
    )
    print(f"{COMPONENT}: loaded in {loaded['load_sec']:.1f} s; "
          f"{loaded['resident_bytes'] / GB:.2f} GB resident after two steps, {resident:.2f} times "
          f"its file; "
          f"{loaded['peak_bytes'] / GB:.2f} GB at the peak, {most:.2f} times")  # fmt: skip
    light = found["bits"] > 4 or (resident <= MOST_RESIDENT and most <= MOST_PEAK)
    return peak <= MOST_BYTES and worst <= MOST_OFF and light


def main() -> int:
    parser = argparse.ArgumentParser(description="Convert the full-size model.")
    parser.add_argument("recipe", type=Path, nargs="?", default=RECIPE)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--export", type=Path, help="a folder that has been exported already")
    parser.add_argument("--folder", type=Path, help="where to write; removed afterwards")
    parser.add_argument("--only-export", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only-variant", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="writes the figures as JSON too")
    asked = parser.parse_args()
    if asked.only_export:
        exported(asked.layers, asked.only_export)
        return 0
    variants = load_recipe(asked.recipe).variants
    if asked.only_variant:
        name = asked.only_variant
        print(json.dumps(converted(asked.export, name, variants[name])))
        return 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        source: Path = asked.export or Path(place) / "export"
        if not asked.export:
            again("--only-export", place, "--layers", str(asked.layers))
        print(f"{asked.layers} of {LAYERS} layers, random weights, variants of {asked.recipe.name}")
        holds, results = True, {}
        for name, variant in variants.items():
            answer = again(str(asked.recipe), "--export", str(source), "--only-variant", name)
            results[name] = json.loads(answer.splitlines()[-1])
            holds &= report(name, results[name], planned(plain(variant), asked.layers))
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\nwanted: peaks under {MOST_BYTES / GB:.0f} GB, components within {MOST_OFF:.0%}, "
          f"int4 in {MOST_RESIDENT} and {MOST_PEAK} times its file: "
          f"{'holds' if holds else 'does not hold'}")  # fmt: skip
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
