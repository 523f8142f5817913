"""Trains the LoRA on the encoded set, which holds all that the other networks have to say.

Resumable: checkpoints in the stage's progress folder hold weights, optimizer and every random
state. Leaves every checkpoint's adapter, the loss curve, and clips rendered on the way.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.batches import style_shares, text_shares
from lofi_engine.training.checkpoints import name_of
from lofi_engine.training.curve import draw_curve
from lofi_engine.training.encoded import read_index, window_frames
from lofi_engine.training.progress_line import ProgressLine
from lofi_runtime.atomic import link_or_copy, write_json

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base
    from lofi_engine.training.loop import Trainer

VERSION = 5
_SAMPLES = "samples"


@dataclass(frozen=True)
class Settings:
    """What shapes the adapter besides the encoded set."""

    base: model.Base
    lora: model.Lora
    training: model.Training


def settings(recipe: model.Recipe) -> Settings:
    """Take what training needs from the recipe."""
    return Settings(base_of(recipe), recipe.lora, recipe.training)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files are what the adapter is trained on."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Train to the recipe's step count and leave one adapter a checkpoint.

    Raises:
        StageError: nothing to train on, a target that is no module, a loss that is not a number.
    """
    use_threads(context.threads)
    trainer = _trainer(context, settings)
    started = time.monotonic()
    losses = trainer.run(context.seed, _reporter(context, settings, trainer.base))
    norms = _collect(context)
    tracks = read_index(context.inputs["encode"], "train")
    write_json(context.work / "losses.json", list(losses))
    (context.work / "loss.svg").write_text(draw_curve(losses), encoding="utf-8")
    samples = sorted((context.work / _SAMPLES).glob("*.wav"))
    return Outcome(
        facts={
            "steps": len(losses),
            "tracks": len(tracks),
            "style_shares": style_shares(tracks, settings.training.sampling.by),
            "text_shares": text_shares(tracks, settings.training.sampling),
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "adapter_norms": norms,
        },
        measured={"steps_per_sec": len(losses) / max(1e-9, time.monotonic() - started)},
        # Clips are for ears: another mastering must not make an equal training another one.
        measured_files=frozenset(f"{_SAMPLES}/{path.name}" for path in samples),
    )


def _trainer(context: StageContext, settings: Settings) -> Trainer:
    import torch

    from lofi_engine.training.adapters import add_adapter, save_adapter
    from lofi_engine.training.batches import Sampler
    from lofi_engine.training.loop import Trainer

    tracks = read_index(context.inputs["encode"], "train")
    if not tracks:
        raise StageError("train: the training split is empty", hint="add tracks to the dataset")
    base = load_base(settings.base, context.home)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base.transformer.requires_grad_(False).to(device)
    generator = torch.Generator().manual_seed(context.seed)
    sampler = Sampler(
        context.inputs["encode"],
        tracks,
        sampling=settings.training.sampling,
        window_frames=window_frames(base, settings.training.window_sec),
        speaker_width=base.speaker_width,
        dropout=settings.training.condition_dropout,
        generator=generator,
    )

    def write_adapter(folder: Path, weights: Mapping[str, torch.Tensor], step: int) -> None:
        save_adapter(folder, weights, settings.lora, {"base": base.identity, "step": str(step)})

    return Trainer(
        base=base,
        model=add_adapter(base.transformer, settings.lora, context.seed),
        sampler=sampler,
        settings=settings.training,
        generator=generator,
        folder=context.progress,
        device=device,
        write_adapter=write_adapter,
        warn=context.warn,
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


def _collect(context: StageContext) -> dict[str, float]:
    """Give the adapters and clips their places; they share the progress folder's bytes.

    Returns:
        The norm of each checkpoint's adapter.

    Raises:
        StageError: the last adapter is zero.
    """
    from lofi_engine.training.adapters import (
        ADAPTER_CONFIG,
        ADAPTER_WEIGHTS,
        adapter_norm,
        load_adapter_weights,
    )
    from lofi_engine.training.checkpoints import all_checkpoints

    norms = {}
    for place in all_checkpoints(context.progress):
        norms[place.name] = adapter_norm(load_adapter_weights(place))
        target = context.work / "checkpoints" / place.name
        target.mkdir(parents=True)
        for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            link_or_copy(place / name, target / name)
    if norms[max(norms)] == 0.0:
        raise StageError(
            "train: the adapter changed nothing: every lora_B is zero",
            hint="train more steps or raise training.learning_rate",
        )
    kept = context.progress / _SAMPLES
    if kept.is_dir():
        shutil.copytree(kept, context.work / _SAMPLES)
    return norms
