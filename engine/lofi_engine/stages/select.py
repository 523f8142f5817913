"""Chooses the best checkpoint by its score on tracks it was not trained on.

The score for now is the denoising error at fixed noise, the same for every checkpoint and for the
base itself; the training loss is not looked at.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.encoded import EncodedTrack, read_index, window_frames
from lofi_runtime.atomic import write_json

VERSION = 2


@dataclass(frozen=True)
class Settings:
    """What shapes the choice besides the checkpoints and the encoded set."""

    base: model.Base
    lora: model.Lora
    timestep_shift: float
    window_sec: float


def settings(recipe: model.Recipe) -> Settings:
    """Take what choosing needs from the recipe."""
    training = recipe.training
    return Settings(base_of(recipe), recipe.lora, training.timestep_shift, training.window_sec)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Score every checkpoint and write the best one's adapter to `adapter/`, in both its forms.

    Raises:
        StageError: a checkpoint's error is not a number, or it does not fit the base.
    """
    use_threads(context.threads)
    tracks, judged_on = _judges(context)
    base_error, errors = _errors(context, settings, tracks)
    best = min(errors, key=lambda name: (errors[name], name))
    if errors[best] >= base_error:
        context.warn(
            f"no checkpoint denoises the {judged_on} tracks better than the base "
            f"({errors[best]:.5f} against {base_error:.5f})"
        )
    _write_adapter(context, settings, best)
    facts = {
        "chosen": best,
        "judged_on": judged_on,
        "tracks": len(tracks),
        "base_error": base_error,
        "errors": errors,
    }
    write_json(context.work / "select.json", facts, sort_keys=True)
    return Outcome(facts=facts)


def _judges(context: StageContext) -> tuple[tuple[EncodedTrack, ...], str]:
    """Give the tracks checkpoints are judged on, and which split they are of."""
    tracks = read_index(context.inputs["encode"], "validation")
    if tracks:
        return tracks, "validation"
    context.warn("no validation tracks: the checkpoints are judged on their training tracks")
    return read_index(context.inputs["encode"], "train"), "train"


def _errors(
    context: StageContext, settings: Settings, tracks: tuple[EncodedTrack, ...]
) -> tuple[float, dict[str, float]]:
    """Give the base's own error and each checkpoint's, by name."""
    import torch

    from lofi_engine.training.adapters import (
        add_adapter,
        load_adapter_weights,
        set_adapter_weights,
    )
    from lofi_engine.training.validation import validation_error

    base = load_base(settings.base, context.home)
    base.transformer.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def score() -> float:
        return validation_error(
            base,
            context.inputs["encode"],
            tracks,
            shift=settings.timestep_shift,
            window_frames=window_frames(base, settings.window_sec),
            seed=context.seed,
        )

    base_error = score()
    places = sorted((context.inputs["train"] / "checkpoints").glob("step-*"))
    adapted = add_adapter(base.transformer, settings.lora, context.seed)
    errors: dict[str, float] = {}
    for number, place in enumerate(places):
        set_adapter_weights(adapted, load_adapter_weights(place), source=place)
        error = errors[place.name] = score()
        if not math.isfinite(error):
            raise StageError(
                f"select: the error of {place.name} on tracks not trained on is {error}",
                hint="train again with a lower training.learning_rate",
            )
        context.emit(number + 1, len(places), "checkpoints", f"{place.name}: {error:.5f}")
    return base_error, errors


def _write_adapter(context: StageContext, settings: Settings, chosen: str) -> None:
    from lofi_engine.training.adapters import load_adapter_weights, save_for_ace_step

    place = context.inputs["train"] / "checkpoints" / chosen
    shutil.copytree(place, context.work / "adapter")
    facts = {"step": chosen.removeprefix("step-").lstrip("0"), "base": settings.base.model}
    weights = load_adapter_weights(place)
    save_for_ace_step(context.work / "adapter", weights, settings.lora, facts)
