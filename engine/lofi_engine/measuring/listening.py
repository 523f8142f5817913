"""Measures every bundle's sound: Fréchet distance to the tracks, CLAP score of its prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lofi_engine.errors import MetricError, StageError
from lofi_engine.measuring.clip_sets import HELD_OUT, TRAINING, Tracks, reference_tracks
from lofi_engine.measuring.locations import in_full
from lofi_engine.measuring.windowing import (
    FEWEST_TRACKS,
    too_few,
    track_windows,
    windowing_of,
)
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import Difference, Figure
from lofi_engine.metrics.per_clip import compare_each
from lofi_engine.metrics.protocol import Metric, Report
from lofi_engine.metrics.registry import MetricOptions, make_metrics
from lofi_engine.recipe.model import ClapGate, FadGate


class Listening:
    """Holds each bundle's clips against float32's, which come first.

    Args:
        fad: measures distances to `tracks`; None leaves them out.
        clap: scores clips by their prompts; None leaves that out.
        tracks: that nothing was trained on, for `fad`.
    """

    def __init__(self, fad: Metric | None, clap: Metric | None, tracks: Tracks | None) -> None:
        self._fad = fad
        self._clap = clap
        self._tracks = tracks
        self._float32: ClipSet | None = None
        self._float32_score: Figure | None = None

    def float32(self, clips: ClipSet, report: Report) -> tuple[Figure, ...]:
        """Measure what all others are held against.

        Raises:
            MetricError: its clips or the tracks would give a figure that means nothing.
        """
        figures: list[Figure] = []
        if self._fad is not None:
            figures += self._fad.measure(clips, self._tracks, report)
        if self._clap is not None:
            (self._float32_score,) = self._clap.measure(clips, None, report)
            figures.append(self._float32_score)
        self._float32 = clips
        return tuple(figures)

    def differences(self, clips: ClipSet, report: Report) -> Iterator[Difference]:
        """Measure a variant and compare it with float32 by paired bootstrap.

        Raises:
            MetricError: its clips would give a figure that means nothing.
        """
        if self._float32 is None:
            raise ValueError("float32's clips come first")
        if self._fad is not None:
            yield from self._fad.compare(clips, self._float32, self._tracks, report)
        if self._clap is not None and self._float32_score is not None:
            # Scored clip by clip, so float32's scores need not be made again.
            (score,) = self._clap.measure(clips, None, report)
            yield compare_each(score, self._float32_score)


def open_listening(
    fad: FadGate | None,
    clap: ClapGate | None,
    inputs: Mapping[str, Path],
    home: Path,
    warn: Callable[[str], None],
) -> Listening | None:
    """Load what a recipe's gates listen with; None where it has none.

    Args:
        fad: the gate, if there is one.
        clap: the gate, if there is one.
        inputs: the folders of the stages "curate" and "split".
        home: where relative folders start.
        warn: told where nothing is held out to listen against.

    Raises:
        StageError: there is no such model, or there are too few tracks.
    """
    if fad is None and clap is None:
        return None
    tracks, options = None, MetricOptions()
    if fad is not None:
        tracks = reference_tracks(inputs["curate"], inputs["split"])
        if tracks.side == TRAINING:
            warn(
                "fad: no tracks are held out, so distances are to the training tracks: a model "
                "that repeats those scores best"
            )
        embedding = in_full(fad.embedding, home)
        options = replace(options, embedding=embedding, project=fad.project)
    if clap is not None:
        options = replace(options, clap=in_full(clap.model, home))
    try:
        if fad is not None and tracks is not None:
            check_tracks(tracks, fad.embedding, home, project=fad.project)
        gates = {"fad": fad, "clap": clap}
        names = [name for name, gate in gates.items() if gate is not None]
        made = dict(zip(names, make_metrics(names, options), strict=True))
    except MetricError as error:
        raise StageError(f"measure: {error.message}", hint=error.hint) from error
    return Listening(made.get("fad"), made.get("clap"), tracks)


def check_tracks(tracks: Tracks, embedding: str, home: Path, *, project: bool) -> None:
    """Refuse tracks that are too few for a Fréchet distance, before anything is rendered.

    Args:
        tracks: to hold clips against.
        embedding: as the recipe names it.
        home: where relative folders start.
        project: whether windows may be projected to fewer dimensions.

    Raises:
        StageError: there are too few; says how many are needed.
    """
    windowing = windowing_of(embedding, home)
    problem = too_few(
        f"{tracks.label} ({len(tracks.names)})",
        track_windows(tracks.durations_sec, windowing),
        windowing,
        project=project,
    )
    if len(tracks.names) < FEWEST_TRACKS:
        problem = f"{tracks.label} are {len(tracks.names)}, at least {FEWEST_TRACKS} are needed"
    if problem:
        hint = "add tracks"
        if tracks.side == HELD_OUT:
            hint += ", hold more of them out (dataset.holdout_share)"
        raise StageError(
            f"measure.fad: {problem}",
            hint=hint if project else f"{hint}, or set measure.fad.project: true",
        )
