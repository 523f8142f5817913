"""Chooses the best checkpoint by its score on tracks it was not trained on.

The score for now is the denoising error at fixed noise, the same for every checkpoint and for the
base itself; the training loss is not looked at.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.training.encoded import read_index

VERSION = 1


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
    """Score every checkpoint and copy the best one's adapter to `adapter/`.

    Raises:
        StageError: a checkpoint's error is not a number, or it does not fit the base.
    """
    import torch

    from lofi_engine.training.adapters import (
        add_adapter,
        load_adapter_weights,
        set_adapter_weights,
    )
    from lofi_engine.training.validation import validation_error

    encoded = context.inputs["encode"]
    tracks, judged_on = read_index(encoded, "validation"), "validation"
    if not tracks:
        context.warn("no validation tracks: the checkpoints are judged on their training tracks")
        tracks, judged_on = read_index(encoded, "train"), "train"
    base = load_base(settings.base, context.home)
    base.transformer.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    frames = max(1, int(settings.window_sec * base.sample_rate / base.frame_samples))

    def score() -> float:
        return validation_error(
            base,
            encoded,
            tracks,
            shift=settings.timestep_shift,
            window_frames=frames,
            seed=context.seed,
        )

    base_error = score()
    places = sorted((context.inputs["train"] / "checkpoints").glob("step-*"))
    model_with_adapter = add_adapter(base.transformer, settings.lora, context.seed)
    errors = {}
    for number, place in enumerate(places):
        set_adapter_weights(model_with_adapter, load_adapter_weights(place))
        errors[place.name] = score()
        if not math.isfinite(errors[place.name]):
            raise StageError(
                f"select: the error of {place.name} on the {judged_on} tracks is "
                f"{errors[place.name]}",
                hint="train again with a lower training.learning_rate",
            )
        context.emit(
            number + 1, len(places), "checkpoints", f"{place.name}: {errors[place.name]:.5f}"
        )
    best = min(errors, key=lambda name: (errors[name], name))
    if errors[best] >= base_error:
        context.warn(
            f"no checkpoint denoises the {judged_on} tracks better than the base "
            f"({errors[best]:.5f} against {base_error:.5f})"
        )
    shutil.copytree(context.inputs["train"] / "checkpoints" / best, context.work / "adapter")
    facts = {
        "chosen": best,
        "judged_on": judged_on,
        "tracks": len(tracks),
        "base_error": base_error,
        "errors": errors,
    }
    text = json.dumps(facts, indent=1, sort_keys=True)
    (context.work / "select.json").write_text(text + "\n", encoding="utf-8")
    return Outcome(facts=facts)
