"""Intervals by drawing clips again, with replacement (Efron & Tibshirani 1993).

Clips are drawn, not windows: the windows of one clip are alike, and counting them as independent
would make every interval too narrow. Nothing is embedded or measured again: a draw is a choice of
values, or of sums, that are there already.

The quantiles are taken a little further out than 2.5 % and 97.5 %, as far as Student's t lies
outside the normal distribution for as many clips ("expanded percentile interval", Hesterberg 2015,
"What Teachers Should Know About the Bootstrap"): plain percentiles of ten clips cover less than
they say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import plural
from lofi_engine.metrics.figures import CONFIDENCE, Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

RESAMPLES = 2000
"""Of means and other figures that cost nothing to draw again."""
FEWEST_DRAWN = 2
_FEWEST_VALID = 0.5


def mean_interval(
    values: Sequence[float] | Values, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Give the interval of the mean of one value a clip.

    Args:
        values: one a clip.
        seed: of the draws.
        resamples: how often the clips are drawn again.

    Raises:
        MetricError: fewer than two values, or one is not finite.
    """
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise MetricError("NaN or infinity among the clips' values", hint="leave the clip out")
    drawn = found[draw_clips(len(found), resamples, seed)].mean(axis=1)
    return quantile_interval(drawn, len(found))


def difference_interval(
    first: Sequence[float] | Values,
    second: Sequence[float] | Values,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Give the interval of how far the mean of `first` is above that of `second`.

    Pairs are drawn, so that what makes a clip easy or hard in both sets cancels out.

    Args:
        first: one value a clip.
        second: the values of the same clips in the other set, in the same order.
        seed: of the draws.
        resamples: how often the pairs are drawn again.

    Raises:
        MetricError: fewer than two pairs, different lengths, or a value is not finite.
    """
    import numpy as np

    if len(first) != len(second):
        raise MetricError(
            f"{len(first)} values against {len(second)} have no pairs",
            hint="give one value a clip for the same clips",
        )
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return mean_interval(differences, seed, resamples)


def draw_clips(count: int, resamples: int, seed: int) -> Indices:
    """Draw clips with replacement.

    Args:
        count: how many clips there are.
        resamples: how often they are drawn.
        seed: of the draws; the same arguments give the same draws.

    Returns:
        int64 (resamples, count): which clips stand in each draw, by their place.

    Raises:
        MetricError: fewer than two clips.
    """
    import numpy as np

    if count < FEWEST_DRAWN:
        raise MetricError(
            f"{plural(count, 'clip')} cannot be drawn again and again, at least {FEWEST_DRAWN} "
            f"are needed",
            hint="add clips: one alone says nothing about others of its kind",
        )
    drawn: Indices = np.random.default_rng(seed).integers(count, size=(resamples, count))
    return drawn


def resampled(
    statistic: Callable[[Indices], float],
    count: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Values:
    """Give a statistic's value for clips drawn again and again.

    Args:
        statistic: given the places (count,) of the clips drawn, some of them more than once; NaN
            says that this draw has no value, such as a style of which no clip was drawn.
        count: how many clips there are.
        resamples: how often they are drawn.
        seed: of the draws.

    Returns:
        float64, one value a draw that has one.

    Raises:
        MetricError: fewer than two clips, or under half of the draws have a value.
    """
    import numpy as np

    values = np.array([statistic(drawn) for drawn in draw_clips(count, resamples, seed)])
    valid: Values = values[np.isfinite(values)]
    if len(valid) < _FEWEST_VALID * resamples:
        raise MetricError(
            f"{resamples - len(valid)} of {resamples} draws of {count} clips have no value",
            hint="add clips",
        )
    return valid


def quantile_interval(drawn: Values, count: int) -> Interval:
    """Give the interval between the quantiles of resampled values.

    Args:
        drawn: (resamples,) values of an unbiased statistic.
        count: how many clips were drawn each time; sets how far out the quantiles are.
    """
    import numpy as np

    low, high = np.quantile(drawn, _ends(count))
    return Interval(float(low), float(high), len(drawn))


def centred_interval(
    value: float, drawn: Values, count: int, floor: float | None = None
) -> Interval:
    """Give an interval around the figure itself: the figure + (quantiles - mean of the draws).

    For distances, which drawing with replacement pushes up: a draw holds fewer different clips, and
    the distance of fewer clips is larger. Plain quantiles would lie above the figure, often without
    it.

    Args:
        value: the figure.
        drawn: (resamples,) its values for clips drawn again.
        count: how many clips were drawn each time.
        floor: what the figure cannot be below; the interval is cut there.
    """
    import numpy as np

    low, high = value + np.quantile(drawn, _ends(count)) - drawn.mean()
    if floor is not None:
        low, high = max(low, floor), max(high, floor)
    return Interval(float(low), float(high), len(drawn))


def _ends(count: int) -> tuple[float, float]:
    """Give the shares below the interval's ends (Hesterberg 2015, section 5.3)."""
    from scipy.stats import norm, t

    deviations = t.ppf((1 - CONFIDENCE) / 2, count - 1) * (count / (count - 1)) ** 0.5
    below = float(norm.cdf(deviations))
    return below, 1 - below
