"""How fast the small base plays: its variants against float32, by stage.

The base is exported and quantized by the recipe's own stages, then each bundle renders the same
prompt with the runtime's own code, in turn, so that a noisy moment hits all alike. Medians of wall
time; "times real time" is the sound's length over the whole, loading not counted.

Run alone: python bench/bench_nano.py [--base FOLDER] [--duration-sec N] [--rounds N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # an idle pool must not spin beside another's run

from lofi_engine.base_quality.card_sections import write_section
from lofi_engine.events import ignore
from lofi_engine.models.ace_step_v1.builtin import NANO
from lofi_engine.models.loading import load_base
from lofi_engine.recipe.model import Base, Variant
from lofi_engine.stages import export, quantize
from lofi_engine.stages.base import StageContext
from lofi_engine.tensors import save_tensors
from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import Bundle
from lofi_runtime.dcae import SessionDcae
from lofi_runtime.manifest import PipelineConfig
from lofi_runtime.pipeline.decode import decode_latents
from lofi_runtime.pipeline.master import master
from lofi_runtime.sessions import Sessions

FLOAT32 = "float32"
AUDIO = ("dcae_decoder", "vocoder")
VARIANTS = {
    "fp16": Variant("fp16", "auto", 32, None, AUDIO),
    "int8": Variant("int8", "auto", 32, None, AUDIO),
}
STAGES = ("text", "denoise", "dcae", "vocoder", "master")
PROMPT = "lofi hip hop, chill, piano, 80 bpm, vinyl crackle, late night, instrumental"
LEAST_TIMES_REAL_TIME, AIM = 1.0, 3.0
"""What the int8 variant must reach, and what is aimed at, on two cores."""


def stage_context(folder: Path, stage: str, threads: int, **inputs: Path) -> StageContext:
    """Give a stage's context; its artifact goes into `folder / stage`."""
    work = folder / stage
    work.mkdir(parents=True, exist_ok=True)
    progress = folder / "progress"
    return StageContext(stage, work, progress, inputs, Path.cwd(), 0, ignore, threads=threads)


def export_base(reference: Base, folder: Path, threads: int) -> Path:
    """Export the base by the recipe's own stage; give the float32 bundle's folder."""
    merged = folder / "merged"
    (merged / export.MERGED).parent.mkdir(parents=True)
    base = load_base(reference, Path.cwd())
    save_tensors(merged / export.MERGED, base.transformer.state_dict())
    del base
    context = stage_context(folder, "export", threads, merge=merged)
    export.run(context, export.Settings(reference, export.OPSET))
    return context.work


def make_variants(
    exported: Path, folder: Path, threads: int, settings: quantize.Settings
) -> dict[str, Path]:
    """Make variants by the recipe's own stage; what calibration learned is kept for the next."""
    context = stage_context(folder, "quantize", threads, export=exported)
    quantize.run(context, settings)
    return {name: context.work / name for name in settings.variants}


def make_bundles(
    reference: Base, folder: Path, threads: int, settings: quantize.Settings
) -> dict[str, Path]:
    """Export the base and make its variants; give the folders by name, float32 first."""
    exported = export_base(reference, folder, threads)
    return {FLOAT32: exported} | make_variants(exported, folder, threads, settings)


@dataclass(frozen=True)
class Player:
    """An opened bundle: its backend for the latents, its audio networks apart."""

    backend: AceStepBackend
    sessions: Sessions
    config: PipelineConfig

    @classmethod
    def open(cls, folder: Path, pipeline: Mapping[str, Any], threads: int) -> Player:
        """Open a bundle that has no manifest yet."""
        config = PipelineConfig(**pipeline)
        bundle = Bundle(folder, None, verified=False, stated_config=config)
        backend = AceStepBackend(bundle, threads=threads)
        return cls(backend, Sessions(bundle, threads=threads), config)

    def seconds(self, request: Request) -> dict[str, float]:
        """Render, and give the wall seconds of each stage."""
        begun: dict[str, float] = {}
        latents = self.backend.latents(
            request, lambda stage, *_: begun.setdefault(stage, time.perf_counter()) and None
        ).latents
        denoised = time.perf_counter()
        vocoding: list[float] = []

        def vocode(mel: Any) -> Any:
            clock = time.perf_counter()
            waveform = self.sessions.run("vocoder.onnx", mel)[0]
            vocoding.append(time.perf_counter() - clock)
            return waveform

        waveform = decode_latents(latents, SessionDcae(self.sessions), vocode)
        decoded = time.perf_counter()
        master(waveform, self.config.sample_rate, request.duration_sec)
        return {
            "text": begun["denoise"] - begun["encode"],
            "denoise": denoised - begun["denoise"],
            "dcae": decoded - denoised - sum(vocoding),
            "vocoder": sum(vocoding),
            "master": time.perf_counter() - decoded,
        }


def measure(
    bundles: Mapping[str, Path], request: Request, threads: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Give each bundle's medians by stage; one short render of each comes first."""
    pipeline = json.loads((bundles[FLOAT32] / export.MODEL_FILE).read_text())["pipeline"]
    players = {name: Player.open(path, pipeline, threads) for name, path in bundles.items()}
    short = Request(PROMPT, 5, 0, inference_steps=1)
    for player in players.values():
        player.seconds(short)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in players}
    for _ in range(rounds):
        for name, player in players.items():
            taken[name].append(player.seconds(request))
    return {
        name: {stage: statistics.median(one[stage] for one in each) for stage in STAGES}
        for name, each in taken.items()
    }


def size_bytes(folder: Path) -> int:
    """Give the bytes of a bundle's graphs and their weights."""
    return sum(file.stat().st_size for file in _files(folder))


def _files(folder: Path) -> Iterable[Path]:
    return (file for file in folder.iterdir() if file.suffix in {".onnx", ".bin"})


def card_section(
    settings: str,
    found: Mapping[str, Mapping[str, float]],
    sizes: Mapping[str, int],
    times: Mapping[str, float],
) -> str:
    """Write the table for a card."""
    whole = {name: sum(stages.values()) for name, stages in found.items()}
    lines = [
        "## Speed",
        "",
        f"{settings}. At least {LEAST_TIMES_REAL_TIME:g} times real time is wanted of int8, "
        f"{AIM:g} times aimed at. Made by `python bench/bench_nano.py`.",
        "",
        "| variant | MB | times real time | times float32 | vocoder's share |",
        "|---|---|---|---|---|",
    ]
    for name, stages in found.items():
        lines.append(
            f"| {name} | {sizes[name] / 1e6:.1f} | {times[name]:.2f} "
            f"| {whole[FLOAT32] / whole[name]:.2f} | {stages['vocoder'] / whole[name]:.0%} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the small base's variants, by stage.")
    parser.add_argument("--base", default=NANO, help="a built-in base or a folder")
    parser.add_argument("--duration-sec", type=int, default=30)
    parser.add_argument("--steps", type=int, default=27)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--card", type=Path, help="puts the table into this card too")
    parser.add_argument("--out", type=Path, help="writes the figures as JSON too")
    asked = parser.parse_args()
    reference = Base("ace-step-v1", asked.base, "main", None)
    with tempfile.TemporaryDirectory(prefix="bench-nano-") as place:
        bundles = make_bundles(reference, Path(place), asked.threads, quantize.Settings(VARIANTS))
        request = Request(PROMPT, asked.duration_sec, 0, inference_steps=asked.steps)
        found = measure(bundles, request, asked.threads, asked.rounds)
        sizes = {name: size_bytes(folder) for name, folder in bundles.items()}
    totals = {name: sum(stages.values()) for name, stages in found.items()}
    times = {name: asked.duration_sec / total for name, total in totals.items()}
    settings = (
        f"{asked.base}: {asked.duration_sec} s of stereo, {asked.steps} steps, "
        f"{asked.threads} threads of {os.cpu_count()} cores, medians of {asked.rounds}"
    )
    print(settings)
    print(f"{'':8}{'MB':>7}" + "".join(f"{stage:>10}" for stage in STAGES) + "     whole  x real")
    for name, stages in found.items():
        columns = "".join(f"{stages[stage]:>8.2f} s" for stage in STAGES)
        ratio = f"   {totals[FLOAT32] / totals[name]:.2f} x as fast as float32"
        print(
            f"{name:8}{sizes[name] / 1e6:>7.1f}{columns}{totals[name]:>8.2f} s{times[name]:>8.2f}"
            + (ratio if name != FLOAT32 else "")
        )
    print(f"wanted of int8: {LEAST_TIMES_REAL_TIME:g} x real time, {AIM:g} aimed at")
    if asked.card:
        write_section(asked.card, "speed", card_section(settings, found, sizes, times))
    if asked.out:
        content = {
            "base": asked.base,
            "duration_sec": asked.duration_sec,
            "steps": asked.steps,
            "threads": asked.threads,
            "rounds": asked.rounds,
            "seconds": found,
            "size_bytes": sizes,
            "times_real_time": times,
        }
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if times["int8"] >= LEAST_TIMES_REAL_TIME else 1


if __name__ == "__main__":
    sys.exit(main())
