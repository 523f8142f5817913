"""Chooses the best checkpoint by what the recipe counts: held-out loss, sound, prompts, ratings.

Every checkpoint and the base itself answer the same questions: the same tracks at the same noise,
the same prompts at the same seeds. The training loss is not looked at. Leaves the chosen adapter in
both its forms, `select.json` with every figure and `select.md` for people.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError, StageError
from lofi_engine.measuring.locations import folders_of, in_full, pinned
from lofi_engine.models.loading import base_of, base_sources
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.encoded import EncodedTrack, read_index
from lofi_engine.training.judging import Judge, Questions
from lofi_engine.training.ratings import BASE, read_ratings, shared_scores
from lofi_engine.training.selection import Term, choose
from lofi_engine.training.selection_clips import AskedClip, Heard, ask_for
from lofi_engine.training.selection_needs import OR_LESS, few_clips, few_tracks
from lofi_engine.training.selection_report import Judgement
from lofi_engine.training.selection_terms import (
    FAD,
    RATINGS,
    fad_term,
    loss_term,
    prompt_term,
    ratings_term,
)
from lofi_runtime.atomic import write_json, write_text
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION

if TYPE_CHECKING:
    from lofi_engine.measuring.clip_sets import Tracks
    from lofi_engine.metrics.clap import ClapScore

VERSION = 3
_RENDERED = "rendered"


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
            base; or what counts lacks tracks, ratings or a model.
    """
    use_threads(context.threads)
    places = _checkpoints(context.inputs["train"])
    bench = _Bench(context, settings, tuple(place.name for place in places))
    judge = _judge(context, settings, places, bench)
    terms = bench.terms(judge)
    shutil.rmtree(context.work / _RENDERED, ignore_errors=True)
    selection = choose(bench.names, terms, bench.out)
    judgement = Judgement(
        checkpoints=bench.names,
        selection=selection,
        terms=terms,
        judged_on=bench.judged_on,
        tracks=len(bench.tracks),
        precision=judge.precision,
        clips=_clips_record(settings.select, bench.clips),
        left_out=bench.left_out,
    )
    for line in judgement.lines():
        context.note(line)
    chosen = selection.chosen
    if chosen.score <= 0:
        context.warn(
            f"no checkpoint is better than the base: {chosen.name}, the best of them, scores "
            f"{chosen.score:+.2%}"
        )
    _write_adapter(context, settings, chosen.name)
    facts = judgement.facts()
    write_json(context.work / "select.json", facts, sort_keys=True)
    write_text(context.work / "select.md", judgement.page())
    return Outcome(facts=facts)


class _Bench:
    """What checkpoints are judged by, looked for before anything is computed.

    Args:
        context: of the stage.
        settings: of the stage.
        names: the checkpoints', earliest first.
    """

    def __init__(self, context: StageContext, settings: Settings, names: tuple[str, ...]) -> None:
        self.names = names
        self.out: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self._context = context
        self._settings, self._select = settings, settings.select
        self.tracks, self.judged_on = self._judges()
        self.clips: tuple[AskedClip, ...] = ()
        self._reference: Tracks | None = None
        self._rated = self._ratings()
        if self._select.renders:
            self.clips = self._asked()
            self._reference = self._held_out()

    def terms(self, judge: Judge) -> tuple[Term, ...]:
        """Judge every checkpoint; those of weight 0 that cost little are told too."""
        from lofi_engine.training.validation import level_sigmas

        losses = judge.losses()
        sigmas = level_sigmas(self._settings.timestep_shift).tolist()
        styles = [track.style for track in self.tracks]
        terms = [loss_term(losses, styles, sigmas, self._select.weights.held_out_loss)]
        if self.clips:
            heard = judge.sounds(self._load_clap)
            self.out |= {name: one.unheard for name, one in heard.items() if one.unheard}
            terms += self._sound_terms({n: one for n, one in heard.items() if not one.unheard})
        if self._rated is not None:
            terms.append(self._rated)
        return tuple(terms)

    def _judges(self) -> tuple[tuple[EncodedTrack, ...], str]:
        """Give the tracks checkpoints are judged on, and which split they are of."""
        encoded = self._context.inputs["encode"]
        if tracks := read_index(encoded, "validation"):
            return tracks, "validation"
        self._context.warn(
            "no validation tracks: the checkpoints are judged on their training tracks"
        )
        return read_index(encoded, "train"), "train"

    def _ratings(self) -> Term | None:
        """Read what people say; a checkpoint that nobody rated cannot be chosen if that counts."""
        if self._select.ratings is None:
            return None
        path, weight = self._context.home / self._select.ratings, self._select.weights.ratings
        ratings = read_ratings(path, self.names)
        scores, counted = shared_scores(ratings)
        if not scores or scores.keys() == {BASE}:
            why = "no checkpoint is rated" if scores else "no clip is rated for all by one person"
            if weight:
                hint = "rate the same clips of every checkpoint that may be chosen"
                raise StageError(f"{path}: {why}", hint=hint)
            self.left_out[RATINGS] = why
            return None
        if counted < len(ratings):
            self._context.warn(
                f"{path.name}: {len(ratings) - counted} of {len(ratings)} ratings do not count: "
                "the same person did not rate that clip of every checkpoint in it"
            )
        if weight:
            unrated = [name for name in self.names if name not in scores]
            self.out |= dict.fromkeys(unrated, "nobody rated it")
        return ratings_term(scores, counted, weight)

    def _asked(self) -> tuple[AskedClip, ...]:
        from lofi_engine.data.descriptions import read_descriptions

        if self._select.weights.fad and (problem := few_clips(self._select)):
            raise StageError(problem)
        wanted = {track.track for track in self.tracks}
        described = read_descriptions(self._context.inputs["describe"])
        return ask_for((one for one in described if one.track in wanted), self._select.clips)

    def _held_out(self) -> Tracks | None:
        """Give the tracks that clips are held against; refused or told where they are too few."""
        from lofi_engine.data.rows import accepted_rows
        from lofi_engine.measuring.clip_sets import HELD_OUT, Tracks

        names = {track.track for track in self.tracks if self.judged_on == HELD_OUT}
        curated = self._context.inputs["curate"]
        rows = {row.track: row for row in accepted_rows(curated) if row.track in names}
        tracks = Tracks("the held-out tracks", HELD_OUT, curated, rows)
        if not (problem := few_tracks(tracks.durations_sec)):
            return tracks
        if self._select.weights.fad:
            raise StageError(f"select.weights.fad: {problem}", hint=OR_LESS)
        self.left_out[FAD] = problem
        return None

    def _sound_terms(self, heard: Mapping[str, Heard]) -> list[Term]:
        from lofi_engine.metrics.embedded import embed_set
        from lofi_engine.metrics.embeddings.sound import SoundEmbedding

        weights, terms = self._select.weights, []
        if self._reference is not None:
            sets = {name: one.embedded(name) for name, one in heard.items()}
            try:
                tracks = embed_set(self._reference, SoundEmbedding(), self._on_track)
                terms.append(fad_term(sets, tracks, weights.fad))
            except MetricError as error:
                raise StageError(f"select: {error.message}", hint=error.hint) from error
        if self._select.clap is not None:
            scores = {name: one.prompt_scores for name, one in heard.items()}
            terms.append(prompt_term(scores, self._select.clap, weights.prompt))
        return terms

    def _on_track(self, done: int, total: int, name: str) -> None:
        self._context.emit(done, total, "held-out tracks", name)

    def _load_clap(self) -> ClapScore | None:
        from lofi_engine.metrics.clap import ClapScore
        from lofi_engine.metrics.shelf import Shelf

        if self._select.clap is None:
            return None
        try:
            return ClapScore(Shelf().clap(in_full(self._select.clap, self._context.home)))
        except MetricError as error:
            raise StageError(f"select.clap: {error.message}", hint=error.hint) from error


def _checkpoints(trained: Path) -> list[Path]:
    """Give the checkpoints' folders, earliest first."""
    places = sorted((trained / "checkpoints").glob("step-*"))
    if not places:
        raise StageError(
            f"select: {trained} holds no checkpoint", hint="run again with --from train"
        )
    return places


def _judge(
    context: StageContext, settings: Settings, places: Sequence[Path], bench: _Bench
) -> Judge:
    questions = Questions(
        encoded=context.inputs["encode"],
        tracks=bench.tracks,
        shift=settings.timestep_shift,
        window_sec=settings.window_sec,
        seed=context.seed,
        clips=bench.clips,
        duration_sec=settings.select.duration_sec,
        steps=settings.select.steps,
    )
    return Judge(
        settings.base,
        context.home,
        settings.lora,
        places,
        questions,
        kept=context.progress,
        aside=context.work / _RENDERED,
        emit=lambda done, total, message: context.emit(done, total, "checks", message),
        warn=context.warn,
    )


def _clips_record(select: model.Select, clips: Sequence[AskedClip]) -> dict[str, Any]:
    """Give what every checkpoint was asked for; empty where nothing was rendered."""
    if not clips:
        return {}
    return {
        "steps": select.steps,
        "duration_sec": select.duration_sec,
        "asked": [
            {
                "clip": one.name,
                "prompt": one.facts.prompt,
                "style": one.facts.style,
                "seed": one.facts.seed,
            }
            for one in clips
        ],
    }


def _write_adapter(context: StageContext, settings: Settings, chosen: str) -> None:
    from lofi_engine.training.adapters import load_adapter_weights, save_for_ace_step

    place = context.inputs["train"] / "checkpoints" / chosen
    shutil.copytree(place, context.work / "adapter")
    facts = {"step": chosen.removeprefix("step-").lstrip("0"), "base": settings.base.model}
    weights = load_adapter_weights(place)
    save_for_ace_step(context.work / "adapter", weights, settings.lora, facts)
