"""Peak memory of real trainings, against the estimate from their configuration.

Each line is a training of three steps on a base made for it, in a process of its own. Measured is
the process's peak resident memory (Linux: VmHWM) over what it had once everything was imported.
Every estimate must lie within 15 % of it. Beside it stand the most bytes that live tensors had, and
the peak with glibc's own way of keeping what was freed: it learns to give blocks of up to 32 MB
back late or never, which is all that these small bases consist of. What is held to the bound is
therefore measured with that learning off: blocks of 128 KiB and more are given back at once.

Run alone: python bench/bench_train_memory.py [NAME ...]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from measured_training import RESET, resident
from tiny_training import TARGETS, TINY, TRAINING, write_tracks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lofi_engine.models.ace_step_v1 import checkpoint, tiny_config
from lofi_engine.models.ace_step_v1.base import Configs
from lofi_engine.models.ace_step_v1.config import LyricEncoderConfig, TransformerConfig
from lofi_engine.models.ace_step_v1.family import AceStepV1
from lofi_engine.models.ace_step_v1.seeded import fill_seeded
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.recipe import model
from lofi_engine.training.job import TrainingJob, make_trainer
from lofi_engine.training.memory import Tokens, estimate_training_memory
from lofi_engine.training.processes import Processes
from lofi_engine.training.report import StepReport

STEPS = 3
TRACKS, TRACK_FRAMES, TOKENS = 4, 700, 40
MOST_ERROR = 0.15
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}


@dataclass(frozen=True)
class Case:
    """A base's size and a training on it."""

    layers: int
    width: int
    rank: int
    lyrics: int = 1
    dora: bool = False
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def lora(self) -> model.Lora:
        """Its adapter."""
        return model.Lora(self.rank, 16.0, rslora=True, targets=TARGETS, dora=self.dora)

    @property
    def training(self) -> model.Training:
        """How it is trained."""
        return replace(TRAINING, **self.changes)

    @property
    def config(self) -> TransformerConfig:
        """Its base's transformer."""
        lyric_encoder = LyricEncoderConfig(
            output_size=self.width // 2,
            attention_heads=4,
            linear_units=2 * self.width,
            num_blocks=2,
            dropout_rate=0.1,
        )
        return replace(
            tiny_config.TRANSFORMER,
            num_layers=self.layers,
            attention_head_dim=64,
            num_attention_heads=self.width // 64,
            lyric_encoder=lyric_encoder,
        )


BF16 = {"precision": "bf16", "base_precision": "bf16"}
CHECKPOINTED = {"gradient_checkpointing": True}
CASES = {
    "plain": Case(4, 256, 16, changes={"batch_size": 4, "window_sec": 30.0}),
    "long windows": Case(8, 512, 64),
    "checkpointed": Case(8, 512, 64, changes={"batch_size": 2, **CHECKPOINTED}),
    "high rank": Case(8, 512, 256, changes={"window_sec": 15.0, "accumulate": 2, **CHECKPOINTED}),
    "bf16": Case(8, 512, 64, changes=BF16),
    "bf16 checkpointed": Case(8, 512, 256, changes={"batch_size": 2, **BF16, **CHECKPOINTED}),
    "bf16 over fp32": Case(6, 384, 64, changes={"precision": "bf16"}),
    "lyrics": Case(6, 384, 32, lyrics=1000, changes={"batch_size": 2, "window_sec": 30.0}),
    "dora": Case(6, 384, 32, dora=True, changes={"window_sec": 30.0}),
    "8bit": Case(8, 512, 64, changes={"precision": "bf16", "base_precision": "8bit"}),
    "4bit": Case(
        8, 512, 64,
        changes={
            "precision": "bf16", "base_precision": "4bit", "optimizer": "adamw-8bit",
            "batch_size": 4, **CHECKPOINTED,
        },
    ),
}  # fmt: skip


class Enough(Exception):  # noqa: N818
    """The training has shown what it takes."""


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, and the most there were."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        return found

    def add(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage from now on."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)


def write_base(case: Case, folder: Path) -> None:
    """Write the tiny base with a transformer of the case's size."""
    base = build_tiny()
    transformer = AceStepTransformer(case.config)
    fill_seeded(transformer, seed=1, name="transformer")
    base.transformer = transformer
    old = base.configs
    base.configs = Configs(case.config.to_mapping(), old.dcae, old.vocoder, old.text)
    checkpoint.save(base, folder)


def write_encoded(case: Case, folder: Path) -> None:
    write_tracks(folder, TRACKS, frames=TRACK_FRAMES, tokens=TOKENS, lyrics=case.lyrics)


def job_of(case: Case, home: Path, encoded: str, base: model.Base) -> TrainingJob:
    return TrainingJob(
        encoded=home / encoded,
        progress=home / f"{encoded}-progress",
        home=home,
        seed=1,
        threads=1,
        base=base,
        lora=case.lora,
        training=case.training,
    )


def train_here(case: Case, folder: Path, *, tensors: bool) -> dict[str, int]:
    """Train a few steps in this process and measure."""
    torch.set_num_threads(1)
    warm_up(folder)
    job = job_of(case, folder, "encoded", model.Base(AceStepV1.name, "base", "main", None))
    live = LiveTensors()
    gc.collect()
    RESET.write_text("5", encoding="utf-8")  # forgets the peak so far
    before = resident("VmRSS")

    def report(said: StepReport) -> None:
        if said.step == STEPS:
            raise Enough

    trainer = make_trainer(job, Processes(), print)
    try:
        if tensors:
            for part in trainer.base.transformer.parameters():
                live.add(part)
            with live:
                trainer.run(1, report)
        else:
            trainer.run(1, report)
    except Enough:
        pass
    return {"peak": resident("VmHWM") - before, "tensors": live.most}


def warm_up(folder: Path) -> None:
    """Import everything a training imports, by taking a step on the tiny base."""
    import lofi_engine.training.samples
    import lofi_engine.training.watching  # noqa: F401

    small = Case(1, 64, 4, changes={"window_sec": 1.0})
    write_encoded(small, folder / "warm")
    job = job_of(small, folder, "warm", TINY)

    def report(_said: StepReport) -> None:
        raise Enough

    try:
        make_trainer(job, Processes(), print).run(1, report)
    except Enough:
        return


def measure(name: str, case: Case) -> tuple[float, str]:
    """Train in two fresh processes and compare; gives the error and a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_base(case, home / "base")
        write_encoded(case, home / "encoded")
        tokens = Tokens(TOKENS, case.lyrics)
        outline = AceStepV1().training_outline("base", revision="main", home=home)
        estimate = estimate_training_memory(outline, case.lora, case.training, tokens, device="cpu")
        found: dict[str, float] = {}
        for what in ("peak", "tensors", "kept"):
            command = [sys.executable, __file__, "--child", name, "--folder", folder]
            command += ["--tensors"] if what == "tensors" else []
            settings = {} if what == "kept" else GIVEN_BACK
            done = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, **settings}
            )
            if done.returncode != 0:
                raise SystemExit(f"{name}: {done.returncode}\n{done.stderr}")
            figures = json.loads(done.stdout.splitlines()[-1])
            found[what] = figures["tensors" if what == "tensors" else "peak"]
    error = estimate.host / found["peak"] - 1
    parts = " | ".join(f"{size / 1e6:.0f}" for size in estimate.parts.values())
    line = (
        f"| {name} | {case.layers} x {case.width} | {case.rank} | {parts} | "
        f"{estimate.host / 1e6:.0f} | {found['peak'] / 1e6:.0f} | {error:+.1%} | "
        f"{found['tensors'] / 1e6:.0f} | {found['kept'] / 1e6:.0f} |"
    )
    return abs(error), line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(CASES)}; default: all")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tensors", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        figures = train_here(CASES[given.child], given.folder, tensors=given.tensors)
        print(json.dumps(figures))
        return
    print("All in MB; the estimate by part, then whole, and what was measured.")
    print(
        "| training | base | rank | weights | adapter | gradients | optimizer | activations "
        "| process | estimate | peak | error | tensors | glibc's peak |"
    )
    print("|" + "---|" * 14)
    worst = 0.0
    for name in given.names or CASES:
        error, line = measure(name, CASES[name])
        print(line, flush=True)
        worst = max(worst, error)
    if worst > MOST_ERROR:
        sys.exit(f"{worst:.1%} is too far: at most {MOST_ERROR:.0%} is allowed.")
    print(f"The largest error is {worst:.1%}; {MOST_ERROR:.0%} is allowed.")


if __name__ == "__main__":
    main()
