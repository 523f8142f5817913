"""Trains the LoRA on the encoded set; only the transformer is in memory.

Resumable: checkpoints in the stage's progress folder hold weights, optimizer and every random
state. Leaves every checkpoint's adapter, the loss curve, and clips rendered on the way.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.training.checkpoints import name_of
from lofi_engine.training.encoded import read_index
from lofi_engine.training.progress_line import ProgressLine

if TYPE_CHECKING:
    from lofi_engine.models.family import Base

VERSION = 3
_SAMPLES = "samples"


@dataclass(frozen=True)
class Settings:
    """What shapes the adapter besides the encoded set."""

    base: model.Base
    lora: model.Lora
    training: model.Training
    threads: int


def settings(recipe: model.Recipe) -> Settings:
    """Take what training needs from the recipe."""
    return Settings(base_of(recipe), recipe.lora, recipe.training, recipe.execution.threads)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files are what the adapter is trained on."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Train to the recipe's step count and leave one adapter a checkpoint.

    Raises:
        StageError: nothing to train on, a target that is no module, a loss that is not a number.
    """
    import torch

    from lofi_engine.training.adapters import adapter_norm, add_adapter, save_adapter
    from lofi_engine.training.batches import Sampler
    from lofi_engine.training.checkpoints import all_checkpoints, read_checkpoint
    from lofi_engine.training.curve import draw_curve
    from lofi_engine.training.loop import Trainer

    tracks = read_index(context.inputs["encode"], "train")
    if not tracks:
        raise StageError("train: the training split is empty", hint="add tracks to the dataset")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    base = load_base(settings.base, context.home)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base.transformer.requires_grad_(False).to(device)
    peft_model = add_adapter(base.transformer, settings.lora, context.seed)
    generator = torch.Generator().manual_seed(context.seed)
    sampler = Sampler(
        context.inputs["encode"],
        tracks,
        by=settings.training.sampling.by,
        window_frames=window_frames(
            settings.training.window_sec, base.sample_rate, base.frame_samples
        ),
        speaker_width=base.speaker_width,
        dropout=settings.training.condition_dropout,
        generator=generator,
    )
    trainer = Trainer(
        base, peft_model, sampler, settings.training, generator, context.progress, device
    )
    started = time.monotonic()
    losses = trainer.run(context.seed, _reporter(context, settings, base))
    _collect_samples(context)
    places = all_checkpoints(context.progress)
    norms = {}
    for place in places:
        weights = dict(read_checkpoint(place).adapter)
        norms[place.name] = adapter_norm(weights)
        facts = {"base": base.identity, "step": place.name.removeprefix("step-").lstrip("0")}
        save_adapter(context.work / "checkpoints" / place.name, weights, settings.lora, facts)
    if norms[places[-1].name] == 0.0:
        raise StageError(
            "train: the adapter changed nothing: every lora_B is zero",
            hint="train more steps or raise training.learning_rate",
        )
    (context.work / "losses.json").write_text(json.dumps(list(losses)) + "\n", encoding="utf-8")
    (context.work / "loss.svg").write_text(draw_curve(losses), encoding="utf-8")
    return Outcome(
        facts={
            "steps": len(losses),
            "tracks": len(tracks),
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "adapter_norms": norms,
        },
        measured={"steps_per_sec": len(losses) / max(1e-9, time.monotonic() - started)},
    )


def _reporter(
    context: StageContext, settings: Settings, base: Base
) -> Callable[[int, float], None]:
    """Give what is called after every step: the progress line, and a sample now and then."""
    from lofi_engine.training.samples import render_sample

    training = settings.training
    line = ProgressLine(training.steps, training.batch_size)

    def report(step: int, loss: float) -> None:
        context.emit(step, training.steps, "steps", line.write(step, loss))
        if step % training.sample_every == 0:
            name = name_of(step)
            path = context.progress / _SAMPLES / f"{name}.wav"
            render_sample(base, path, model_name=f"{base.identity} with an adapter at {name}")

    return report


def _collect_samples(context: StageContext) -> None:
    kept = context.progress / _SAMPLES
    if kept.is_dir():
        shutil.copytree(kept, context.work / _SAMPLES)


def window_frames(window_sec: float, sample_rate: int, frame_samples: int) -> int:
    """Give the latent frames of a training window, at least one."""
    return max(1, int(window_sec * sample_rate / frame_samples))
