"""What choosing a checkpoint by sound needs of the recipe and the tracks, said before the work.

Light: no torch; of a CLAP model only its configuration is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lofi_engine.errors import MetricError
from lofi_engine.measuring.foresight import most_reference_tracks
from lofi_engine.measuring.windowing import (
    FEWEST_TRACKS,
    rendered_windows,
    too_few,
    track_windows,
    windowing_of,
)
from lofi_engine.metrics.shelf import SOUND_EMBEDDING
from lofi_engine.recipe.model import Recipe, Select

OR_LESS = "add tracks, hold more of them out (dataset.holdout_share), or set it to 0"


def missing_for_select(recipe: Recipe) -> Iterator[str]:
    """List what `select` of a recipe will lack, one line each; nothing where no clip is rendered.

    How many tracks are held out cannot be foreseen: it is taken for the most there can be.
    """
    select = recipe.select
    if not select.renders:
        return
    yield from _missing_clap(select, recipe.home)
    if select.weights.fad:
        if problem := few_clips(select):
            yield problem
        durations_sec = most_reference_tracks(recipe)
        if durations_sec and (problem := few_tracks(durations_sec)):
            yield f"select.weights.fad: at most {problem} - {OR_LESS}"


def few_clips(select: Select) -> str:
    """Say that the clips are too few or short for a Fréchet distance; "" where they are not."""
    windowing = windowing_of(SOUND_EMBEDDING, Path())
    windows = rendered_windows(select.clips, select.duration_sec, windowing)
    clips = f"{select.clips} clips of {select.duration_sec} s"
    problem = too_few(clips, windows, windowing, project=True)
    return f"select: {problem} - raise select.clips or select.duration_sec" if problem else ""


def few_tracks(durations_sec: Sequence[float]) -> str:
    """Say that held-out tracks are too few for a Fréchet distance; "" where they are not.

    Args:
        durations_sec: of each held-out track.
    """
    if not durations_sec:
        return "no track is held out"
    windowing = windowing_of(SOUND_EMBEDDING, Path())
    found = f"{len(durations_sec)} held-out track{'' if len(durations_sec) == 1 else 's'}"
    if len(durations_sec) < FEWEST_TRACKS:
        return f"{found}, at least {FEWEST_TRACKS} are needed"
    return too_few(found, track_windows(durations_sec, windowing), windowing, project=True)


def _missing_clap(select: Select, home: Path) -> Iterator[str]:
    if select.clap is None:
        return
    try:
        windowing = windowing_of(select.clap, home)
    except MetricError as error:
        yield f"select.clap: {str(error).removeprefix('CLAP model: ')}"
        return
    if not windowing.count(select.duration_sec):
        yield (
            f"select.duration_sec: {select.duration_sec} s is shorter than the "
            f"{windowing.window_sec:g} s window of {windowing.name} - raise it"
        )
