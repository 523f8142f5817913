"""How far what is generated lies from held-out tracks, beside what teaching began with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.base_quality.bench import Bench
from lofi_engine.base_quality.results import LOWER, Goal, Result, Row, figure_row
from lofi_engine.base_quality.shelf import KeptClips
from lofi_engine.base_quality.untrained import TRAINED, UNTRAINED, UNTRAINED_TRANSFORMER
from lofi_engine.errors import MetricError

if TYPE_CHECKING:
    from lofi_engine.metrics.fad import FrechetAudioDistance
    from lofi_engine.metrics.figures import Figure

NAME = "distance"
OF_UNTRAINED, OF_HALVES = 0.1, 3.0
"""At most so many times an untrained base's distance, and that between two held-out halves."""
SPLITS = 5
_PURPOSE = "distance"


@dataclass(frozen=True)
class _Space:
    """Where distances are taken; the same for all of them, so that ratios mean something."""

    metric: FrechetAudioDistance
    directions: int


def generated(bench: Bench) -> KeptClips:
    """Generate what held-out pieces are described as; other figures look at these clips too."""
    pieces = bench.material.held_out(bench.settings.clips)
    return bench.generate("generated", bench.asks_of(pieces, _PURPOSE))


def originals(bench: Bench) -> KeptClips:
    """Play the held-out pieces that `generated` was asked for."""
    return bench.play("held-out tracks", bench.material.held_out(bench.settings.clips))


def measure(bench: Bench) -> Result:
    """Give the Fréchet distance to held-out tracks, with what it is to be held against.

    Raises:
        MetricError: a set has too few windows.
        StageError: there are too few held-out pieces.
        BackendError: the base gives values that are not numbers.
    """
    reference = originals(bench)
    space = _space(bench, reference)
    mine = _distance(bench, space, generated(bench), reference)
    halves = [_halves(bench, space, reference, split) for split in range(SPLITS)]
    between = sum(halves) / len(halves)
    untrained = {
        which: _untrained(bench, space, which, reference)
        for which in (UNTRAINED, UNTRAINED_TRANSFORMER)
    }
    rows = [
        _row("Fréchet distance of generated clips to held-out tracks", mine),
        *(
            _row(f"the same of a base with {_called(which)}", one)
            for which, one in untrained.items()
        ),
        Row(
            "the same between two halves of the held-out tracks",
            between,
            low=min(halves),
            high=max(halves),
            n=len(reference.names),
            note=f"mean, least and most of {SPLITS} splits",
        ),
        *(
            _ratio(f"share of the distance with {_called(which)}", mine, _value(one), OF_UNTRAINED)
            for which, one in untrained.items()
        ),
        _ratio("times the distance between the halves", mine, between, OF_HALVES),
    ]
    return Result(NAME, _stated(bench, space), tuple(rows))


def _space(bench: Bench, reference: KeptClips) -> _Space:
    """Choose the directions that the smallest set has windows for, none if it has enough."""
    from lofi_engine.metrics.fad import FrechetAudioDistance
    from lofi_engine.metrics.projection import WINDOWS_A_DIMENSION

    embedding, settings = bench.embedding, bench.settings
    a_clip = 1 + int((settings.duration_sec - embedding.window_sec) // embedding.hop_sec)
    fewest = a_clip * min(len(reference.names) // 2, settings.untrained_clips)
    most = fewest // WINDOWS_A_DIMENSION
    directions = 0 if most >= embedding.dimensions else most
    metric = FrechetAudioDistance(
        embedding, project=directions > 0, seed=settings.seed, directions=directions
    )
    return _Space(metric, directions)


def _distance(bench: Bench, space: _Space, judged: KeptClips, against: KeptClips) -> Figure:
    return space.metric.measure(judged, against, bench.report(f"embed {judged.label}"))[0]


def _untrained(
    bench: Bench, space: _Space, which: str, reference: KeptClips
) -> Figure | MetricError:
    pieces = bench.material.held_out(bench.settings.untrained_clips)
    asks = bench.asks_of(pieces, _PURPOSE)
    try:
        return _distance(bench, space, bench.generate(which, asks, which), reference)
    except MetricError as refused:
        return refused


def _halves(bench: Bench, space: _Space, reference: KeptClips, split: int) -> float:
    import numpy as np

    order = np.random.default_rng([bench.settings.seed, split]).permutation(len(reference.names))
    names = [reference.names[place] for place in order]
    middle = len(names) // 2
    one, other = (
        reference.some(f"half {number}", tuple(part))
        for number, part in enumerate((names[:middle], names[middle:]), start=1)
    )
    return _distance(bench, space, one, other).value


def _row(what: str, found: Figure | MetricError) -> Row:
    if isinstance(found, MetricError):
        return Row(what, None, note=str(found))
    return figure_row(what, found, note=f"in {found.embedding}")


def _ratio(what: str, mine: Figure, other: float | None, bound: float) -> Row:
    goal = Goal(bound, LOWER)
    if not other:
        return Row(what, None, goal=goal, note="there is nothing to divide by")
    low, high = (None, None)
    if mine.interval is not None:
        low, high = mine.interval.low / other, mine.interval.high / other
    return Row(what, mine.value / other, low=low, high=high, n=mine.n, counted="windows", goal=goal)


def _value(found: Figure | MetricError) -> float | None:
    return None if isinstance(found, MetricError) else found.value


def _called(which: str) -> str:
    return {
        UNTRAINED: "every network untrained",
        UNTRAINED_TRANSFORMER: "its transformer alone untrained",
        TRAINED: "every network trained",
    }[which]


def _stated(bench: Bench, space: _Space) -> dict[str, int | float | str]:
    settings = bench.settings
    return {
        **settings.stated(),
        "untrained_clips": settings.untrained_clips,
        "embedding": bench.embedding.name,
        "directions": space.directions or bench.embedding.dimensions,
    }
