"""Trains the LoRA on the encoded set, which holds all that the other networks have to say.

Resumable: checkpoints in the stage's progress folder hold weights, optimizer and every random
state. Leaves every checkpoint's adapter, the loss curve, and clips rendered on the way.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources
from lofi_engine.recipe import model
from lofi_engine.stages.base import PROGRESS, Outcome, StageContext
from lofi_engine.training.batches import style_shares, text_shares
from lofi_engine.training.board import BOARD, collect_board
from lofi_engine.training.checkpoints import (
    all_checkpoints,
    name_of,
    newest_checkpoint,
    step_of,
    steps_done,
)
from lofi_engine.training.curve import draw_losses
from lofi_engine.training.encoded import read_index
from lofi_engine.training.history import History
from lofi_engine.training.job import SAMPLES, TrainingJob, train
from lofi_engine.training.launch import launch
from lofi_engine.training.preflight import run_preflight
from lofi_engine.training.processes import join_processes
from lofi_runtime.atomic import link_or_copy, write_json, write_text

VERSION = 7


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
    started = time.monotonic()
    done_before = steps_done(context.progress)
    history = _train(context, settings)
    norms = _collect(context, settings.training.checkpoint_every)
    tracks = read_index(context.inputs["encode"], "train")
    losses = history.losses
    write_json(context.work / "losses.json", losses)
    write_json(context.work / "history.json", history.rows())
    for name, picture in draw_losses(history).items():
        write_text(context.work / name, picture)
    return Outcome(
        facts={
            "steps": len(losses),
            "stopped_early": history.stopped_early,
            "tracks": len(tracks),
            "style_shares": style_shares(tracks, settings.training.sampling.by),
            "text_shares": text_shares(tracks, settings.training.sampling),
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "loss_by_band": history.by_band(len(losses) // 2),
            "loss_by_style": history.by_style(len(losses) // 2),
            "held_out_losses": _by_name(history.held_out),
            "adapter_effects": _by_name(history.effects),
            "adapter_norms": norms,
        },
        measured={
            "steps_per_sec": (len(losses) - done_before) / max(1e-9, time.monotonic() - started)
        },
        # Clips are for ears: another mastering must not make an equal training another one.
        # The board's files hold times.
        measured_files=_below(context.work, SAMPLES, BOARD),
    )


def _train(context: StageContext, settings: Settings) -> History:
    """Train here, or in as many processes as the recipe says."""
    job = TrainingJob(
        encoded=context.inputs["encode"],
        progress=context.progress,
        home=context.home,
        seed=context.seed,
        threads=context.threads,
        base=settings.base,
        lora=settings.lora,
        training=settings.training,
    )

    def emit(done: int, total: int, message: str) -> None:
        context.emit(done, total, "steps", message)

    def answer(said: Mapping[str, Any]) -> None:
        if "warning" in said:
            context.warn(said["warning"])
        else:
            emit(said["done"], said["total"], said["message"])

    _tell_of_others(context)
    run_preflight(job, context.note, context.warn)
    count = settings.training.processes
    if count == 1:
        return train(job, join_processes(1), emit, context.warn)
    launch(
        "lofi_engine.training.worker",
        job.as_json(),
        context.progress,
        processes=count,
        threads=context.threads,
        answer=answer,
    )
    finished = newest_checkpoint(context.progress)
    if finished is None:
        raise StageError("train: the processes left no checkpoint", hint="run again")
    return finished.history


def _tell_of_others(context: StageContext) -> None:
    """Say what starts over: a changed recipe's training is another one, which nobody may expect."""
    if all_checkpoints(context.progress):
        return
    for place in sorted(context.progress.parent.glob(f"{PROGRESS}*")):
        kept = all_checkpoints(place)
        if place != context.progress and kept:
            context.warn(
                f"train: starts at step 0; a training with other settings or data was stopped "
                f"after {kept[-1].name}: run the recipe as it was then to go on with it, or remove "
                f"it with `lofi-recipe clean` ({place.name})"
            )


def _by_name(values: Mapping[int, float]) -> dict[str, float]:
    return {name_of(step): values[step] for step in sorted(values)}


def _below(work: Path, *folders: str) -> frozenset[str]:
    files = (path for name in folders for path in (work / name).rglob("*") if path.is_file())
    return frozenset(path.relative_to(work).as_posix() for path in files)


def _collect(context: StageContext, every: int) -> dict[str, float]:
    """Give the adapters, clips and board their places; they share the progress folder's bytes.

    A checkpoint out of turn, left where somebody stopped the run, has no place: an interrupted
    training must end as one that was not.

    Returns:
        The norm of each checkpoint's adapter.
    """
    from lofi_engine.training.adapters import (
        ADAPTER_CONFIG,
        ADAPTER_WEIGHTS,
        adapter_norm,
        load_adapter_weights,
    )

    norms = {}
    places = all_checkpoints(context.progress)
    for place in places:
        if step_of(place) % every and place != places[-1]:
            continue
        norms[place.name] = adapter_norm(load_adapter_weights(place))
        target = context.work / "checkpoints" / place.name
        target.mkdir(parents=True)
        for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            link_or_copy(place / name, target / name)
    kept = context.progress / SAMPLES
    if kept.is_dir():
        shutil.copytree(kept, context.work / SAMPLES)
    collect_board(context.progress / BOARD, context.work / BOARD)
    return norms
