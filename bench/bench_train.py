"""Training on tracks encoded beforehand, against a loop that encodes inside every step.

Both train the same adapter on the same tracks in the same order, each in a process of its own. The
product encodes with its encode stage and trains with `lofi_engine.training.job`; the other loop
(`in_step_training.py`) keeps every network in memory and encodes in each step, as the reference
trainer does.

Wanted, with audio models and without: at least 3 times the steps in a second of one thread, and at
most a third of the peak memory.

What was chosen:

- Base: `builtin:tiny`, four layers of 64 channels, the adapter of rank 16 on the full-size recipe's
  targets, float32, activations checkpointed in both, since the reference always does so.
- Tracks: six, synthesised, 20 to 40 s, FLAC at 48 kHz; windows are whole tracks, one in a batch,
  as the reference trains (whole tracks of up to 240 s, batch 1).
- Audio models: random HuBERT networks of two layers, as wide as the base's projectors take.
- Condition dropout is off, so that every step's loss tests every encoder.
- Steps a second: of the processor's time on one thread, which other work on the machine disturbs
  least; the first step, which warms up, is left out of both. By the clock they are shown too.
- Memory: the highest resident set (Linux: VmHWM) from loading to the last step and, in the
  product, its last checkpoint; above what a third process holds that only imports the modules the
  loop had imported in the end. Weights are counted in the loop: parameters and buffers of every
  module alive after its first step.
- The same thing is trained: the losses of the first step, of the same window, noise and noise
  level, agree to one part in a thousand (latents and states lie on disk in half precision), with
  adapters that start alike. How far the losses of the last step are apart is shown too.

What it does not show is the published model's ratio. A tiny transformer does little beside a tiny
DCAE; `--published` counts the arithmetic and the weights of the networks as published, without
running them. There encoding is about as much work as training, and the transformer holds three
quarters of the weights: a third of the memory then takes a base held in few bits besides.

Run alone: python bench/bench_train.py [--steps N] [--published]
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import soundfile
import torch
from bench_encode import LYRICS, save_network
from in_step_training import InStepTraining
from published_training import print_published

from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.recipe import model
from lofi_engine.stages import encode
from lofi_engine.stages.base import StageContext
from lofi_engine.training.job import TrainingJob, train
from lofi_engine.training.processes import Processes
from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import compose, describe, render

LEAST_SPEEDUP = 3.0
MOST_MEMORY = 1 / 3
MOST_DIFFERENCE = 1e-3
"""Of the first step's losses, of their size."""
LENGTHS_SEC = (20, 24, 28, 32, 36, 40)
BASE = model.Base("ace-step-v1", "builtin:tiny", "1", None)
SSL_WIDTHS = {"mert": 24, "mhubert": 16}
LORA = model.Lora(
    16, 16.0, rslora=True,
    targets=(
        "speaker_embedder", "linear_q", "linear_k", "linear_v", "to_q", "to_k", "to_v", "to_out.0",
    ),
)  # fmt: skip
TRAINING = model.Training(
    steps=0,
    batch_size=1,
    accumulate=1,
    learning_rate=1e-4,
    warmup_steps=0,
    precision="fp32",
    clip_grad_norm=0.5,
    window_sec=60.0,
    checkpoint_every=10_000,
    sample_every=10_000,
    timestep_shift=3.0,
    sampling=model.Sampling("track", shuffle_tags=True, recaption_share=0.0),
    condition_dropout=model.ConditionDropout(0.0, 0.0, 0.0),
    gradient_checkpointing=True,
)
SSL = model.Ssl("mert", "mhubert", 1.0)
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SEED = 1
FORMS = {"ssl": "with audio models", "plain": "without audio models"}


@dataclass
class Measured:
    """What one loop took.

    Args:
        losses: of every step.
        processor: seconds of each step.
        clock: seconds of each step, by the clock.
        peak: highest resident memory in bytes.
        weights: bytes of the networks held.
        parts: the processor's seconds in all steps by what they went to, where that is counted.
    """

    losses: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    peak: int = 0
    weights: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to measure."""
        RESET.write_text("5", encoding="utf-8")  # forgets the peak so far
        self._read_clocks()

    def step(self) -> None:
        """Note that a step is done."""
        self.processor.append(time.process_time() - self._processor)
        self.clock.append(time.perf_counter() - self._clock)
        if len(self.clock) == 1:
            self.peak = resident("VmHWM")
            self.weights = weight_bytes()
            RESET.write_text("5", encoding="utf-8")
        self._read_clocks()

    def end(self) -> None:
        """Take the peak."""
        self.peak = max(self.peak, resident("VmHWM"))

    def _read_clocks(self) -> None:
        self._processor, self._clock = time.process_time(), time.perf_counter()


def resident(name: str) -> int:
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def weight_bytes() -> int:
    """Count the bytes of all weights of all networks that are alive."""
    found: dict[int, int] = {}
    for one in gc.get_objects():
        if issubclass(type(one), torch.nn.Module):
            for part in (*one.parameters(), *one.buffers()):
                if part.device.type != "meta":
                    found[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
    return sum(found.values())


def train_encoded(job: TrainingJob, _inputs: Mapping[str, Path]) -> Measured:
    """Train as the product does."""
    measured = Measured()

    def emit(done: int, _total: int, _message: str) -> None:
        if done == len(measured.clock) + 1:
            measured.step()

    measured.start()
    history = train(job, Processes(), emit, print)
    measured.end()
    measured.losses = history.losses
    return measured


def train_in_step(job: TrainingJob, inputs: Mapping[str, Path]) -> Measured:
    """Train as the reference trainer does."""
    measured = Measured()
    measured.start()
    training = InStepTraining(job, inputs)
    for _ in range(job.training.steps):
        measured.losses.append(training.step())
        measured.step()
    measured.end()
    measured.parts = training.seconds
    return measured


@dataclass(frozen=True)
class Loop:
    """One of the two."""

    name: str
    train: Callable[[TrainingJob, Mapping[str, Path]], Measured]


LOOPS = {
    "encoded": Loop("encoded beforehand", train_encoded),
    "in-step": Loop("encoding in each step", train_in_step),
}


def import_only(names: list[str]) -> int:
    """Import modules in their order; give the memory that takes."""
    for name in names:
        try:
            importlib.import_module(name)
        except (ImportError, AttributeError, TypeError):
            continue  # made by a library while it ran, not imported
    gc.collect()
    return resident("VmRSS")


def child(asked: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    home = asked.folder
    if asked.child == "imports":
        print(json.dumps(import_only(json.loads(asked.modules.read_text(encoding="utf-8")))))
        return
    measured = LOOPS[asked.child].train(job_of(home, asked.form, asked.steps), inputs_of(home))
    print(json.dumps({**asdict(measured), "modules": list(sys.modules)}))


def in_process(*arguments: str) -> Any:
    """Run this file anew and give what it prints last."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(home: Path, form: str, loop: str, steps: int) -> Measured:
    """Train in a fresh process; its memory is what it had above its imports."""
    place = ("--folder", str(home), "--form", form, "--steps", str(steps))
    found = in_process("--child", loop, *place)
    modules = home / f"{form}-{loop}.json"
    modules.write_text(json.dumps(found.pop("modules")), encoding="utf-8")
    found["peak"] -= in_process("--child", "imports", "--modules", str(modules), *place)
    return Measured(**found)


def inputs_of(home: Path) -> dict[str, Path]:
    return {name: home / "inputs" / name for name in ("curate", "describe", "split")}


def job_of(home: Path, form: str, steps: int) -> TrainingJob:
    return TrainingJob(
        encoded=home / form / "work",
        progress=home / form / "training",
        home=home,
        seed=SEED,
        threads=1,
        base=BASE,
        lora=LORA,
        training=replace(TRAINING, steps=steps, ssl=SSL if form == "ssl" else None),
    )


def write_inputs(home: Path) -> None:
    """Write what curate, describe and split leave of synthesised tracks."""
    inputs = inputs_of(home)
    audio = inputs["curate"] / "tracks"
    for folder in (audio, inputs["describe"], inputs["split"]):
        folder.mkdir(parents=True)
    styles = list(load_styles())
    described = []
    for number, seconds in enumerate(LENGTHS_SEC):
        name, style = f"track-{number}", styles[number * 6]
        score = compose("", seed=number, duration_sec=seconds, style=style)
        soundfile.write(audio / f"{name}.flac", render(score).T, SAMPLE_RATE, "PCM_16")
        lyrics, tempo = LYRICS if number % 2 else "", float(score.tempo_bpm)
        prompt = describe(score)["prompt"]
        described.append(
            Description(name, prompt, lyrics, tempo, "", (style,), seconds, "synthesiser")
        )
    write_descriptions(inputs["describe"], described)
    split = {"train": [one.track for one in described], "validation": []}
    (inputs["split"] / "split.json").write_text(json.dumps(split), encoding="utf-8")


def encode_tracks(home: Path, form: str) -> float:
    """Run the product's encode stage; give its processor time in seconds."""
    context = StageContext(
        stage="encode",
        work=home / form / "work",
        progress=home / form / "encoding",
        inputs=inputs_of(home),
        home=home,
        seed=SEED,
        sink=lambda _event: None,
        threads=1,
    )
    context.work.mkdir(parents=True)
    before = time.process_time()
    ssl = {"mert": SSL.mert, "mhubert": SSL.mhubert} if form == "ssl" else {}
    encode.run(context, encode.Settings(BASE, TRAINING.latents_precision, ssl))
    return time.process_time() - before


def show(form: str, loop: str, found: Measured) -> None:
    figures = (
        f"{per_sec(found.processor):.2f}",
        f"{per_sec(found.clock):.2f}",
        f"{found.peak / 1e6:.0f}",
        f"{found.weights / 1e6:.1f}",
        f"{found.losses[0]:.5f}",
        f"{found.losses[-1]:.5f}",
    )
    print(f"| {FORMS[form]} | {LOOPS[loop].name} | {' | '.join(figures)} |", flush=True)


def compare(home: Path, form: str, steps: int) -> tuple[list[str], bool]:
    """Measure both loops and show them; give what is to be said of them, and whether all held."""
    encoding_sec = encode_tracks(home, form)
    found = {}
    for loop in LOOPS:
        found[loop] = measure(home, form, loop, steps)
        show(form, loop, found[loop])
    ours, theirs = found["encoded"], found["in-step"]
    speedup = per_sec(ours.processor) / per_sec(theirs.processor)
    memory = ours.peak / theirs.peak
    first, last = (abs(ours.losses[at] / theirs.losses[at] - 1) for at in (0, -1))
    together = sum(theirs.parts.values())
    shares = ", ".join(f"{what} {taken / together:.0%}" for what, taken in theirs.parts.items())
    saved_sec = 1 / per_sec(theirs.processor) - 1 / per_sec(ours.processor)
    lines = [
        f"{FORMS[form]}:",
        f"  steps a second    {speedup:6.2f} times     wanted at least {LEAST_SPEEDUP:g}",
        f"  peak memory       {memory:6.2f} of it      wanted at most {MOST_MEMORY:.2f}",
        f"  first step's loss {first:8.1e} apart   allowed {MOST_DIFFERENCE:.0e}; last {last:.1e}",
        f"  each step of the other loop: {shares}",
        f"  encoding took {encoding_sec:.1f} s, won back after {encoding_sec / saved_sec:.0f} steps",
    ]
    held = speedup >= LEAST_SPEEDUP and memory <= MOST_MEMORY and first <= MOST_DIFFERENCE
    return lines, held


def per_sec(seconds: list[float]) -> float:
    """Give the steps in a second; the first one warms up."""
    return (len(seconds) - 1) / sum(seconds[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=13)
    parser.add_argument("--child", choices=(*LOOPS, "imports"), help=argparse.SUPPRESS)
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    for name in ("--folder", "--modules"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked)
        return 0
    torch.set_num_threads(1)
    lines, all_held = [], True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_inputs(home)
        for name, width in SSL_WIDTHS.items():
            save_network(home / name, width)
        print("| training | loop | steps/s of a thread | by the clock | peak MB | weights MB "
              "| first loss | last loss |")
        print("|" + "---|" * 8)
        for form in FORMS:
            said, held = compare(home, form, asked.steps)
            lines += said
            all_held = all_held and held
    print("\n".join(lines))
    print_published()
    print("held" if all_held else "MISSED")
    return 0 if all_held else 1


if __name__ == "__main__":
    sys.exit(main())
