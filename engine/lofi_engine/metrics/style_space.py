"""The space in which styles lie apart: whitened, measured without the bias of few clips, redrawn.

A distance between the means of few clips is too long by chance, and a set drawn with replacement
holds copies, which lie at no distance from each other. Both are avoided in one way: squared
distances between styles are U-statistics over pairs of different clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import RESAMPLES, quantile_interval
from lofi_engine.metrics.figures import Interval
from lofi_engine.metrics.style_sets import StyledSet

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NOTHING = 1e-9
_PERMUTATIONS = 999


@dataclass(frozen=True)
class Whitening:
    """Makes what varies within a style vary alike in every direction.

    Args:
        matrix: float64 (dimensions, dimensions), to multiply vectors with from the right.
        shrinkage: how far the covariance was drawn towards equal and unrelated dimensions, 0 to 1.
    """

    matrix: npt.NDArray[np.float64]
    shrinkage: float

    def apply(self, styled: StyledSet) -> npt.NDArray[np.float64]:
        """Give the set's whitened vectors, float64 (clips, dimensions)."""
        whitened: npt.NDArray[np.float64] = styled.vectors @ self.matrix
        return whitened


def whiten_within(reference: StyledSet) -> Whitening:
    """Whiten by a reference's covariance within its styles, pooled over styles.

    Each dimension is scaled to the same spread, then the covariance is shrunk as Ledoit and Wolf
    2004 ("A well-conditioned estimator for large-dimensional covariance matrices") choose. Only for
    sets other than the reference, which lies too tight in its own whitening.

    Raises:
        MetricError: the clips of every style are all alike.
    """
    import numpy as np
    from sklearn.covariance import ledoit_wolf

    scale = scale_within(reference)
    covariance, shrinkage = ledoit_wolf(reference.deviations / scale, assume_centered=True)
    variances, directions = np.linalg.eigh(covariance)
    variances = np.maximum(variances, _NOTHING * variances.max())  # not shrunk: some are zero
    return Whitening((directions / np.sqrt(variances)) / scale[:, None], float(shrinkage))


def scale_within(*sets: StyledSet) -> npt.NDArray[np.float64]:
    """Give each dimension's deviation within styles, pooled over styles and sets.

    For sets that are held against each other: no set is closer to its own clips than the others
    are, and few clips spoil it less than a whole covariance, which would hide half of a loss.

    Returns:
        float64 (dimensions,). A dimension that varies within no style has no scale of its own; it
        gets the widest, so that it never weighs too much.

    Raises:
        MetricError: the clips of every style are all alike.
    """
    import numpy as np

    deviations = np.concatenate([styled.deviations for styled in sets])
    spread = np.sqrt((deviations**2).mean(axis=0))
    nothing = _NOTHING * max(float(np.abs(styled.vectors).max()) for styled in sets)
    if spread.max() <= nothing:
        raise MetricError(
            f"{' and '.join(styled.label for styled in sets)}: all clips of a style sound the "
            "same, so nothing says how far apart is far",
            hint="use clips of different seeds",
        )
    scale: npt.NDArray[np.float64] = np.where(spread > nothing, spread, spread.max())
    return scale


def squared_distances(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the squared Euclidean distance of every clip to every other, (clips, clips)."""
    import numpy as np
    from scipy.spatial.distance import pdist, squareform

    distances: npt.NDArray[np.float64] = np.asarray(squareform(pdist(vectors, "sqeuclidean")))
    return distances


def membership(style_of: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Give 1 where a clip is of a style, float64 (clips, styles)."""
    import numpy as np

    return np.eye(int(style_of.max()) + 1)[style_of]


def styles_apart(
    squared: npt.NDArray[np.float64], weighted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Give the squared distances between styles' means, and within each style, without bias.

    Between two styles it is the mean over pairs of clips less half of each style's mean within: an
    unbiased estimate of the squared distance of the means, zero or a little less where they agree.

    Args:
        squared: (clips, clips), of `squared_distances`.
        weighted: (clips, styles), how often each clip counts in its style; `membership` for once.

    Returns:
        (styles, styles): between styles; on the diagonal the mean over a style's pairs of
        different clips, twice its variance.
    """
    import numpy as np

    counts = weighted.sum(axis=0)
    pairs = np.outer(counts, counts)
    np.fill_diagonal(pairs, counts**2 - (weighted**2).sum(axis=0))
    means = (weighted.T @ squared @ weighted) / pairs
    within = np.diagonal(means).copy()
    apart: npt.NDArray[np.float64] = means - (within[:, None] + within[None, :]) / 2
    np.fill_diagonal(apart, within)
    return apart


def draw_by_style(
    style_of: npt.NDArray[np.int64], seed: int, resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """Draw every style's clips again with replacement (Efron 1979), each style for itself.

    A draw of one clip alone says nothing of a style's spread and is drawn anew.

    Returns:
        float64 (resamples, clips), how often each clip was drawn.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(style_of)))
    for style in range(int(style_of.max()) + 1):
        members = np.flatnonzero(style_of == style)
        drawn = rng.integers(len(members), size=(resamples, len(members)))
        while (alone := (drawn == drawn[:, :1]).all(axis=1)).any():
            drawn[alone] = rng.integers(len(members), size=(int(alone.sum()), len(members)))
        for at, member in enumerate(members):
            counts[:, member] = (drawn == at).sum(axis=1)
    return counts


def chance_apart(
    squared: npt.NDArray[np.float64], style_of: npt.NDArray[np.int64], seed: int
) -> float:
    """Give the chance that styles lie as far apart when they are dealt to the clips by lot.

    A permutation test of the mean squared distance between styles, as Anderson 2001, "A new method
    for non-parametric multivariate analysis of variance".
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    member = membership(style_of)
    pairs = np.triu_indices(member.shape[1], 1)
    found = styles_apart(squared, member)[pairs].mean()
    dealt = (member[rng.permutation(len(member))] for _ in range(_PERMUTATIONS))
    reached = sum(styles_apart(squared, one)[pairs].mean() >= found - _NOTHING for one in dealt)
    return float((1 + reached) / (1 + _PERMUTATIONS))


def interval_by_style(drawn: npt.NDArray[np.float64], styled: StyledSet) -> Interval:
    """Give the interval of values resampled by `draw_by_style`.

    Every style's mean has cost one clip of those that vary; the quantiles lie as far out as so few
    ask for (`bootstrap.quantile_interval`). A draw that is NaN has no value and does not count.
    """
    import numpy as np

    valid = drawn[np.isfinite(drawn)]
    return quantile_interval(valid, len(styled.names) - len(styled.styles) + 1)
