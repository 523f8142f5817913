"""Foresees what a recipe's gates will lack, before days of training: a model, seeds, windows.

What depends on the tracks' sound, such as how many pass curation, cannot be foreseen: tracks and
their lengths are taken for the most there can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from lofi_engine.audio.decode import AUDIO_SUFFIXES
from lofi_engine.errors import MetricError
from lofi_engine.measuring.windowing import (
    FEWEST_TRACKS,
    Windowing,
    rendered_windows,
    too_few,
    track_windows,
    windowing_of,
)
from lofi_engine.metrics.bootstrap import FEWEST_DRAWN
from lofi_engine.recipe.model import ClapGate, FadGate, Recipe


def missing_for_gates(recipe: Recipe) -> Iterator[str]:
    """List what `measure.fad` and `measure.clap` of a recipe will lack, one line each."""
    fad, clap = recipe.measure.fad, recipe.measure.clap
    if (fad or clap) and recipe.measure.seeds < FEWEST_DRAWN:
        yield (
            f"measure.seeds: {recipe.measure.seeds} gives fad and clap no interval - "
            f"set it to {FEWEST_DRAWN} or more"
        )
    if fad is not None:
        yield from _missing_for_fad(recipe, fad)
    if clap is not None:
        yield from _missing_for_clap(recipe, clap)


def _missing_for_fad(recipe: Recipe, fad: FadGate) -> Iterator[str]:
    try:
        windowing = windowing_of(fad.embedding, recipe.home)
    except MetricError as error:
        yield f"measure.fad.embedding: {_without_kind(error)}"
        return
    seeds, duration_sec = recipe.measure.seeds, math.ceil(recipe.measure.duration_sec)
    if problem := _too_short(duration_sec, windowing):
        yield problem
        return
    windows = rendered_windows(seeds, duration_sec, windowing)
    pieces = f"{seeds} pieces of {duration_sec} s"
    if problem := too_few(pieces, windows, windowing, project=fad.project):
        more = f"raise measure.seeds or measure.duration_sec{_or_project(fad)}"
        yield f"measure.fad: {problem} - {more}"
    durations_sec = most_reference_tracks(recipe)
    if not durations_sec:
        return
    if len(durations_sec) < FEWEST_TRACKS:
        yield (
            f"measure.fad: at most 1 track is held out, at least {FEWEST_TRACKS} are needed - "
            "add tracks, or hold more of them out (dataset.holdout_share)"
        )
        return
    windows = track_windows(durations_sec, windowing)
    tracks = f"at most {len(durations_sec)} tracks to hold them against"
    if problem := too_few(tracks, windows, windowing, project=fad.project):
        yield (
            f"measure.fad: {problem} - add tracks, or hold more of them out "
            f"(dataset.holdout_share){_or_project(fad)}"
        )


def _missing_for_clap(recipe: Recipe, clap: ClapGate) -> Iterator[str]:
    try:
        windowing = windowing_of(clap.model, recipe.home)
    except MetricError as error:
        yield f"measure.clap.model: {_without_kind(error)}"
        return
    if problem := _too_short(math.ceil(recipe.measure.duration_sec), windowing):
        yield problem


def _too_short(duration_sec: int, windowing: Windowing) -> str:
    if windowing.count(duration_sec):
        return ""
    return (
        f"measure.duration_sec: {duration_sec} s is shorter than a window of {windowing.name} - "
        f"set it to {math.ceil(windowing.window_sec)} or more"
    )


def _or_project(fad: FadGate) -> str:
    return "" if fad.project else ", or set measure.fad.project: true"


def most_reference_tracks(recipe: Recipe) -> list[float]:
    """Give the longest durations that the held-out tracks could have; none where unknown.

    Without a share to hold out it is the training tracks that are measured against.
    """
    dataset = recipe.dataset
    durations_sec: list[float] = []
    for source in dataset.sources:
        if source.synth is not None:
            durations_sec += [source.synth.duration_sec] * source.synth.tracks
        elif source.path is not None:
            files = _count_audio(recipe.home / source.path)
            if not files:
                return []
            durations_sec += [dataset.quality.max_duration_sec] * files
    durations_sec.sort(reverse=True)
    if not dataset.holdout_share:
        return durations_sec
    # Shares are rounded style by style: at most to the double.
    return durations_sec[: max(1, math.ceil(2 * dataset.holdout_share * len(durations_sec)))]


def _count_audio(folder: Path) -> int:
    return sum(path.suffix.lower() in AUDIO_SUFFIXES for path in folder.rglob("*"))


def _without_kind(error: MetricError) -> str:
    return str(error).removeprefix("CLAP model: ")
