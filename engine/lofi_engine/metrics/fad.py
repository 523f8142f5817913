"""Fréchet audio distance: how far a set's windows are from a reference's, in an embedding's space.

Kilgour et al. 2019 ("Fréchet Audio Distance: A Reference-Free Metric for Evaluating Music
Enhancement Algorithms") with VGGish; here with any embedding, whose name goes with every figure:
distances of different embeddings say nothing about each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import centred_interval, draw_clips
from lofi_engine.metrics.checks import FormatCheck, check_reference, check_set, listed, pair_names
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.embedded import EmbeddedSet, embed_set
from lofi_engine.metrics.extrapolate import Extrapolation, Subsets, why_not
from lofi_engine.metrics.figures import LOWER, Difference, Figure
from lofi_engine.metrics.frechet import DistanceTo, frechet_distance
from lofi_engine.metrics.moments import ClipMoments
from lofi_engine.metrics.projection import enough_windows
from lofi_engine.metrics.protocol import Embedding, Needs, Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

NAME, NAME_AT_INFINITY = "fad", "fad-infinity"
FEWEST_CLIPS = 2
_RESAMPLES = {512: 200, 1024: 100}  # up to so many dimensions, as each takes longer
_LINE_RESAMPLES = {128: 100, 512: 40}  # a line is ten distances
_FEWEST = 40


@dataclass(frozen=True)
class _Held:
    """A set held against the reference.

    Args:
        embedded: the set.
        fad: its distance.
        drawn: its distances with clips drawn again.
        line: its extrapolation; None where a set is too small for one.
        drawn_lines: its extrapolated distances with the same clips drawn again.
        details: of both.
    """

    embedded: EmbeddedSet
    fad: float
    drawn: Values
    line: Extrapolation | None
    drawn_lines: Values
    details: Mapping[str, Any]


class FrechetAudioDistance:
    """Fréchet audio distance, also extrapolated to infinitely many windows; lower is better.

    Windows are counted, clips are drawn for the interval, and the reference stays as it is: the
    interval says where the distance to this very reference would lie for as many other clips of the
    kind. What the distance is too large by, its sets being finite, is in it; "fad-infinity" takes
    that off. Sets once embedded are remembered by their content.

    Args:
        embedding: to embed with. Its attribute `sees`, where it has one, is the set of degradations
            that the distance then claims to rank.
        project: whether too few windows are answered by a projection on random directions.
        seed: of the draws and of the projection.
        directions: how many to project on; 0 for as many as the windows allow.
    """

    def __init__(
        self, embedding: Embedding, *, project: bool = False, seed: int = 0, directions: int = 0
    ) -> None:
        self._embedding = embedding
        self._project = project
        self._seed = seed
        self._directions = directions
        self._embedded: dict[str, EmbeddedSet] = {}

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return NAME

    @property
    def title(self) -> str:
        """What it says, in one line."""
        return f"Fréchet audio distance to the reference in {self._embedding.name}; lower is better"

    @property
    def needs(self) -> Needs:
        """A reference set."""
        return Needs(reference=True)

    @property
    def sees(self) -> frozenset[str]:
        """What its embedding sees."""
        return frozenset(getattr(self._embedding, "sees", ()))

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Give the distance and, with four clips or more in both sets, its extrapolation.

        Args:
            judged: what is measured.
            against: the reference set.
            report: called after every clip that is embedded.

        Raises:
            MetricError: no reference, one clip alone, too few windows, and what `embed_set` raises.
        """
        (held,), reference = self._held((judged,), against, report)
        return _figures(held, reference)

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets' distances to one reference: the same clips are drawn from both.

        Args:
            first: what is judged.
            second: what it is compared with: the same names, prompts and seeds.
            against: the reference set.
            report: called after every clip that is embedded.

        Raises:
            MetricError: as `measure`; also clips without a pair, or other seeds or prompts.
        """
        check_reference(NAME, against)
        pair_names(first, second)
        (one, other), reference = self._held((first, second), against, report)
        draws = (one.drawn - other.drawn, one.drawn_lines - other.drawn_lines)
        figures = zip(_figures(one, reference), _figures(other, reference), strict=True)
        return tuple(
            _difference(mine, theirs, drawn, len(one.embedded.names))
            for (mine, theirs), drawn in zip(figures, draws, strict=False)
        )

    def _held(
        self, judged: tuple[ClipSet, ...], against: ClipSet | None, report: Report
    ) -> tuple[list[_Held], EmbeddedSet]:
        """Embed sets and reference, and hold the sets against it with the same draws."""
        everything = (*judged, check_reference(NAME, against))
        _check_beforehand(everything)
        embedded = [self._embed(clips, report) for clips in everything]
        _check_formats(embedded)
        *sets, reference = enough_windows(
            embedded, project=self._project, seed=self._seed, directions=self._directions
        )
        return [_hold(each, reference, self._seed) for each in sets], reference

    def _embed(self, clips: ClipSet, report: Report) -> EmbeddedSet:
        """Embed a set, or take it from memory under its present label."""
        key = clips.content_hash()
        if key not in self._embedded:
            self._embedded[key] = _of_many_sounds(embed_set(clips, self._embedding, report))
        return replace(self._embedded[key], label=clips.label)


def _of_many_sounds(embedded: EmbeddedSet) -> EmbeddedSet:
    if len(embedded.copies()) == len(embedded.names) - 1:
        raise MetricError(
            f"{embedded.label}: all {len(embedded.names)} clips are the same sound",
            hint="use clips that differ: copies say nothing about others of their kind",
        )
    return embedded


def _check_beforehand(sets: tuple[ClipSet, ...]) -> None:
    """Refuse too few clips, and formats that differ at a first look, before embedding any."""
    formats = FormatCheck()
    for clips in sets:
        check_set(clips, FEWEST_CLIPS)
        formats.see(clips.clip(clips.names[0]), clips.label)


def _check_formats(sets: Sequence[EmbeddedSet]) -> None:
    formats = FormatCheck()
    for embedded in sets:
        if embedded.format is not None:
            formats.see_format(embedded.format, embedded.label)


def _hold(embedded: EmbeddedSet, reference: EmbeddedSet, seed: int) -> _Held:
    """Give a set's distance and extrapolation, each also with clips drawn again."""
    import numpy as np

    mine, theirs = ClipMoments(embedded), ClipMoments(reference)
    draws = draw_clips(mine.clips, _times(_RESAMPLES, mine.dimensions), seed)
    distance_to = DistanceTo(theirs.gaussian())
    details = _details(embedded, reference)
    line, drawn_lines = None, np.zeros(0)
    if reason := _why_no_line(mine, theirs):
        details["no_infinity"] = reason
    else:
        line = Subsets(mine.clips, theirs, seed=seed).line(mine)
        once = Subsets(mine.clips, theirs, seed=seed, deals=1)
        draws_of_lines = draws[: _times(_LINE_RESAMPLES, mine.dimensions)]
        drawn_lines = np.array([once.line(mine, drawn).intercept for drawn in draws_of_lines])
    return _Held(
        embedded=embedded,
        fad=frechet_distance(embedded.stacked(), reference.stacked()),
        drawn=np.array([distance_to(mine.gaussian(mine.weights(drawn))) for drawn in draws]),
        line=line,
        drawn_lines=drawn_lines,
        details=details,
    )


def _why_no_line(judged: ClipMoments, reference: ClipMoments) -> str:
    """Say why there is no extrapolation; "" where there is one."""
    most = max(_LINE_RESAMPLES)
    if judged.dimensions > most:
        return f"{judged.dimensions} dimensions take too long to extrapolate: at most {most}"
    return why_not(judged, reference)


def _figures(held: _Held, reference: EmbeddedSet) -> tuple[Figure, ...]:
    """Give the distance and, where there is one, its extrapolation."""
    fad = _figure(NAME, held.fad, held.drawn, held, reference)
    if held.line is None:
        return (fad,)
    line = held.line
    infinity = _figure(NAME_AT_INFINITY, line.intercept, held.drawn_lines, held, reference)
    details = {**held.details, "fit": line.as_details()}
    if line.intercept < 0:
        details["text"] = (
            f"the line ends at {line.intercept:.3g} and is cut off at 0, the least a distance can "
            "be: the interval says how much that can hide"
        )
    return fad, replace(infinity, value=line.value, details=details)


def _figure(
    metric: str, value: float, drawn: Values, held: _Held, reference: EmbeddedSet
) -> Figure:
    judged = held.embedded
    return Figure(
        metric=metric,
        value=value,
        interval=centred_interval(value, drawn, len(judged.names), floor=0.0),
        n=judged.windows,
        counted="windows",
        better=LOWER,
        judged=judged.label,
        against=reference.label,
        reference_hash=reference.content_hash,
        embedding=judged.embedding_name,
        details=held.details,
    )


def _difference(first: Figure, second: Figure, drawn: Values, clips: int) -> Difference:
    interval = centred_interval(first.value - second.value, drawn, clips)
    return Difference.of(first, second, interval, clips)


def _details(judged: EmbeddedSet, reference: EmbeddedSet) -> dict[str, Any]:
    details = {
        "window_sec": judged.window_sec,
        "hop_sec": judged.hop_sec,
        "dimensions": judged.dimensions,
        "clips": len(judged.names),
        "reference_windows": reference.windows,
        "reference_clips": len(reference.names),
        "interval_of": "other clips against this very reference",
    }
    if copies := judged.copies():
        details["copies"] = list(copies)
        details["text"] = (
            f"{len(copies)} of {len(judged.names)} clips are copies of others: {listed(copies)}; "
            "the interval takes them for more than they are"
        )
    return details


def _times(resamples: Mapping[int, int], dimensions: int) -> int:
    """Give how often clips are drawn: less often where one distance takes long."""
    return next((times for most, times in resamples.items() if dimensions <= most), _FEWEST)
