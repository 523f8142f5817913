"""Chooses the best checkpoint by what the recipe counts: held-out loss, sound, prompts, ratings.

Every checkpoint and the base itself answer the same questions: the same tracks at the same noise,
the same prompts at the same seeds. The training loss is not looked at. Leaves the chosen adapter in
both its forms, `select.json` with every figure and `select.md` for people.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.events import Event
from lofi_engine.measuring.locations import folders_of, pinned
from lofi_engine.models.loading import base_of, base_sources
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.encoded import EncodedTrack, read_index
from lofi_engine.training.judging import Judge, Loss, Sounds
from lofi_engine.training.ratings import BASE, Rating, read_ratings, shared_scores
from lofi_engine.training.selection import Term, choose
from lofi_engine.training.selection_report import Judgement
from lofi_engine.training.selection_terms import (
    FAD,
    PROMPT,
    RATINGS,
    loss_term,
    prompt_term,
    ratings_term,
)
from lofi_runtime.atomic import write_json, write_text
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION

VERSION = 3
_NOT_RATED = "nobody rated it"


@dataclass(frozen=True)
class Settings:
    """What shapes the choice besides the checkpoints and the encoded set.

    `select` holds the CLAP model pinned to what it is today. `pipeline_version` is of what renders
    clips, 0 where none are.
    """

    base: model.Base
    lora: model.Lora
    timestep_shift: float
    window_sec: float
    select: model.Select
    pipeline_version: int


def settings(recipe: model.Recipe) -> Settings:
    """Take what choosing needs from the recipe."""
    training, select = recipe.training, recipe.select
    return Settings(
        base_of(recipe),
        recipe.lora,
        training.timestep_shift,
        training.window_sec,
        select if select.clap is None else replace(select, clap=pinned(select.clap)),
        PIPELINE_VERSION if select.renders else 0,
    )


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files; a CLAP model in a folder; what people say."""
    select = recipe.select
    models = folders_of([select.clap] if select.clap else [], recipe.home)
    ratings = (recipe.home / select.ratings,) if select.ratings else ()
    return (*base_sources(recipe), *models, *ratings)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Judge every checkpoint and write the best one's adapter to `adapter/`, in both its forms.

    Raises:
        StageError: there is no checkpoint, or one's figures are no numbers, or it does not fit the
            base; what counts lacks tracks, ratings or a model.
    """
    use_threads(context.threads)
    places = _checkpoints(context.inputs["train"])
    names = tuple(place.name for place in places)
    tracks, judged_on = _tracks(context)
    ratings = _ratings(context, settings.select, names)
    reference, lacking = _reference(context, settings.select, tracks, judged_on)
    judge = _judge(context, settings, places, tracks)
    losses = judge.losses()
    heard = judge.sounds(lambda: _load_clap(settings.select, context.home)) if asked else {}
    ...
