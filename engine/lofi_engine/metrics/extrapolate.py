"""Extrapolates a Fréchet distance to infinitely many windows.

The distance of finite sets is too large, by an amount that falls as 1/n: two halves of one album
are apart. Chong & Forsyth ("Effectively Unbiased FID and Inception Score and where to find them",
CVPR 2020) take it for subsets of growing n, lay a line through the values over 1/n and read it off
at 1/n = 0; Gui et al. ("Adapting Frechet Audio Distance for Generative Music Evaluation", ICASSP
2024) do so for audio.

Two things differ here. Subsets are of clips, as windows of one clip are alike: what clips differ in
would not be extrapolated otherwise. And both sets are cut down in step, not the judged one alone:
their reference is large enough to be taken for infinite, a handful of held-out tracks is not.

The points are all clips, three quarters of them, two thirds and a half. Below half the line bends
where there are fewer clips than dimensions. The clips are dealt into four, three and two parts, of
which each is left out once, so that every clip counts equally often in every point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.frechet import DistanceTo
from lofi_engine.metrics.moments import ClipMoments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

PARTS = (4, 3, 2)
"""Of so many parts, one is left out."""
FEWEST_CLIPS = 4
DEALS = 4
"""How often the clips are dealt anew; a point is the mean of them."""


@dataclass(frozen=True)
class Extrapolation:
    """A line through distances over 1/n.

    Args:
        value: the distance at infinite n, at least 0.
        intercept: the line's own value there; chance can put it below 0.
        slope: by how much the distance of n windows is too large, times n.
        r_squared: the share of the points' variance on the line, 0 to 1.
        points: the judged set's windows and the distance, most windows first.
    """

    value: float
    intercept: float
    slope: float
    r_squared: float
    points: tuple[tuple[float, float], ...]

    def as_details(self) -> Mapping[str, Any]:
        """Give plain JSON values."""
        return {
            "intercept": self.intercept,
            "slope": self.slope,
            "r_squared": self.r_squared,
            "points": [{"windows": windows, "fad": value} for windows, value in self.points],
        }


def why_not(judged: ClipMoments, reference: ClipMoments) -> str:
    """Say why two sets cannot be extrapolated: "" where they can.

    Half of either set needs two clips and as many windows as there are dimensions.
    """
    for moments in (judged, reference):
        if moments.clips < FEWEST_CLIPS:
            return f"{moments.label}: {moments.clips} clips, at least {FEWEST_CLIPS} are needed"
        if moments.windows < 2 * moments.dimensions:
            return (
                f"{moments.label}: {moments.windows} windows for {moments.dimensions} dimensions, "
                f"at least {2 * moments.dimensions} are needed"
            )
    return ""


class Subsets:
    """Subsets of clips for every point, dealt once, with the reference's roots taken once.

    Args:
        clips: how many the judged set has.
        reference: the set it is held against; cut down in step.
        seed: of the deals.
        deals: how often the clips are dealt anew.
    """

    def __init__(
        self, clips: int, reference: ClipMoments, *, seed: int = 0, deals: int = DEALS
    ) -> None:
        import numpy as np

        rng = np.random.default_rng(seed)
        everything = (np.ones(clips), np.ones(reference.clips))
        dealt = [[everything]]
        for parts in PARTS:
            point = []
            for _ in range(deals):
                mine, theirs = (_kept(count, parts, rng) for count in (clips, reference.clips))
                point += list(zip(mine, theirs, strict=True))
            dealt.append(point)
        self._points = [
            [
                (mine, DistanceTo(reference.gaussian(theirs)), _share(reference, theirs))
                for mine, theirs in point
            ]
            for point in dealt
        ]

    def line(self, judged: ClipMoments, drawn: Indices | None = None) -> Extrapolation:
        """Lay the line for a set.

        Args:
            judged: the set.
            drawn: (clips,) places of the clips that stand in for the set's; all of them if not
                given.
        """
        import numpy as np

        order = np.arange(judged.clips) if drawn is None else drawn
        whole = judged.windows_of(_counts(order, np.ones(len(order))))
        inverse, values = [], []
        for point in self._points:
            times, found = [], []
            for mine, distance_to, theirs in point:
                weights = _counts(order, mine)
                found.append(distance_to(judged.gaussian(weights)))
                times.append((whole / judged.windows_of(weights) + theirs) / 2)
            inverse.append(float(np.mean(times)))
            values.append(float(np.mean(found)))
        return _line(inverse, values, judged.windows)


def to_infinity(judged: ClipMoments, reference: ClipMoments, *, seed: int = 0) -> Extrapolation:
    """Extrapolate the distance of two sets to infinitely many windows of both.

    Args:
        judged: the judged set.
        reference: the set it is held against.
        seed: of the deals.

    Raises:
        MetricError: a set is too small (`why_not`).
    """
    reason = why_not(judged, reference)
    if reason:
        raise MetricError(
            f"{reason} to extrapolate to infinitely many", hint="use more or longer clips"
        )
    return Subsets(judged.clips, reference, seed=seed).line(judged)


def _kept(clips: int, parts: int, rng: np.random.Generator) -> list[Vectors]:
    """Deal clips into parts and give, for each part, 1 for every clip that is not in it."""
    import numpy as np

    part = np.empty(clips, dtype=np.int64)
    part[rng.permutation(clips)] = np.arange(clips) % parts
    return [(part != left_out).astype(np.float64) for left_out in range(parts)]


def _counts(order: Indices, weights: Vectors) -> Vectors:
    """Give how often each clip is in, of places and whether each place counts."""
    import numpy as np

    counts = np.bincount(order, weights=weights, minlength=len(order))
    return counts.astype(np.float64)


def _share(moments: ClipMoments, weights: Vectors) -> float:
    """Give all windows over those of a choice."""
    return moments.windows / moments.windows_of(weights)


def _line(inverse: list[float], values: list[float], windows: int) -> Extrapolation:
    """Lay a line by least squares; `inverse` is the whole set's windows over the subset's."""
    import numpy as np

    slope, intercept = np.polyfit(inverse, values, 1)
    spread = float(np.square(np.asarray(values) - np.mean(values)).sum())
    left = float(np.square(np.polyval([slope, intercept], inverse) - values).sum())
    points = zip(inverse, values, strict=True)
    return Extrapolation(
        value=max(0.0, float(intercept)),
        intercept=float(intercept),
        slope=float(slope) * windows,
        r_squared=max(0.0, 1 - left / spread) if spread > 0 else 1.0,
        points=tuple((windows / times, value) for times, value in points),
    )
