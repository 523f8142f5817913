"""Intervals by drawing clips again, with replacement (Efron & Tibshirani 1993).

Clips are drawn, not windows: the windows of one clip are alike, and counting them as independent
would make every interval too narrow. Nothing is embedded or measured again: a draw is a choice of
values, or of sums, that are there already.

The quantiles are taken a little further out than 2.5 % and 97.5 %, as far as Student's t lies
outside the normal distribution for as many clips ("expanded percentile interval", Hesterberg 2015,
"What Teachers Should Know About the Bootstrap"): plain percentiles of ten clips cover less than
they say. Under six clips no quantile is far enough: the ends of all draws of two lie at the two
clips themselves, and hold the truth every second time. There the draws say how much the figure
varies, and Student's t how many such deviations to either side.
"""

from __future__ import annotations

import math
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
FEWEST_FOR_QUANTILES = 6
"""Of fewer, all lie on one side of the truth more often than in one of twenty sets."""
ENDLESS = (-math.inf, math.inf)
_FEWEST_VALID = 0.5


def mean_interval(
    values: Sequence[float] | Values,
    seed: int = 0,
    resamples: int = RESAMPLES,
    span: tuple[float, float] = ENDLESS,
) -> Interval:
    """Give the interval of the mean of one value a clip.

    Args:
        values: one a clip.
        seed: of the draws.
        resamples: how often the clips are drawn again.
        span: the least and the most that a value can be; the interval is cut there.

    Raises:
        MetricError: fewer than two values, or one is not finite.
    """
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise MetricError("NaN or infinity among the clips' values", hint="leave the clip out")
    drawn = found[draw_clips(len(found), resamples, seed)].mean(axis=1)
    return quantile_interval(drawn, len(found), span)


def graded_interval(
    values: Sequence[float] | Values, span: tuple[float, float], seed: int = 0
) -> Interval:
    """Give the interval of the mean of marks, such as right or wrong, of which many may be equal.

    Where all clips have one mark, drawing them again tells nothing. Then as large a share of others
    as Wilson's interval of none in so many clips allows may have any mark of the span, and
    `resamples` is 0.

    Args:
        values: one a clip.
        span: the least and the most that a mark can be.
        seed: of the draws.

    Raises:
        MetricError: as `mean_interval`.
    """
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    interval = mean_interval(found, seed, span=span)
    if found.min() < found.max():
        return interval
    _, others = share_interval(0, len(found))
    alike = (1 - others) * float(found[0])
    return Interval(alike + others * span[0], alike + others * span[1], resamples=0)


def share_interval(hits: int, clips: int) -> tuple[float, float]:
    """Give the score interval of a share (Wilson 1927, "Probable inference")."""
    from scipy.stats import binomtest

    interval = binomtest(hits, clips).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


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


def quantile_interval(drawn: Values, count: int, span: tuple[float, float] = ENDLESS) -> Interval:
    """Give the interval between the quantiles of resampled values.

    Args:
        drawn: (resamples,) values of an unbiased statistic.
        count: how many clips were drawn each time; sets how far out the quantiles are.
        span: the least and the most that the statistic can be; the interval is cut there.
    """
    low, high = (float(drawn.mean() + reach) for reach in _reaches(drawn, count))
    return Interval(max(low, span[0]), min(high, span[1]), len(drawn))


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
    low, high = (float(value + reach) for reach in _reaches(drawn, count))
    if floor is not None:
        low, high = max(low, floor), max(high, floor)
    return Interval(low, high, len(drawn))


def _reaches(drawn: Values, count: int) -> tuple[float, float]:
    """Give how far an interval's ends are from the mean of the draws."""
    import numpy as np

    if count < FEWEST_FOR_QUANTILES:
        reach = _deviations(count) * float(drawn.std())
        return -reach, reach
    low, high = np.quantile(drawn, _ends(count)) - drawn.mean()
    return float(low), float(high)


def _ends(count: int) -> tuple[float, float]:
    """Give the shares below the interval's ends (Hesterberg 2015, section 5.3)."""
    from scipy.stats import norm

    below = float(norm.cdf(-_deviations(count)))
    return below, 1 - below


def _deviations(count: int) -> float:
    """Give how many deviations of the draws an interval reaches; clips drawn again vary less."""
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt(count / (count - 1))
