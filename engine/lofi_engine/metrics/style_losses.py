"""What a set has lost of the base's distances, over all styles and for each one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.metrics.figures import CONFIDENCE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of distance.

    Args:
        metric: the figure's name.
        title: what is kept or lost.
        within: whether it is within a style, the diagonal of `styles_apart`, or between two.
    """

    metric: str
    title: str
    within: bool

    def entries(self, apart: Values) -> Values:
        """Give the squared distances of this kind, (..., entries), from (..., styles, styles)."""
        import numpy as np

        if self.within:
            return np.diagonal(apart, axis1=-2, axis2=-1)
        rows, columns = np.triu_indices(apart.shape[-1], 1)
        between: Values = apart[..., rows, columns]
        return between

    def labels(self, styles: tuple[str, ...]) -> list[str]:
        """Name the entries: a style, or two."""
        if self.within:
            return list(styles)
        return [f"{one} and {other}" for at, one in enumerate(styles) for other in styles[at + 1 :]]


BETWEEN = Kind("style-collapse-distance", "distance between styles", within=False)
WITHIN = Kind("style-collapse-diversity", "diversity within a style", within=True)


def root_mean(squared: Values) -> Values:
    """Give the root mean square over the last axis; below zero, which is chance, counts as zero."""
    import numpy as np

    root: Values = np.sqrt(np.maximum(squared.mean(axis=-1), 0.0))
    return root


def kept(found: Values, base: Values) -> Values:
    """Give the share of the base's distance that is left, root mean square over the last axis.

    Args:
        found: squared distances, (..., entries).
        base: the base's.

    Returns:
        (...); NaN where the base has no distance, as a draw of few clips may have.
    """
    import numpy as np

    of_base = base.mean(axis=-1)
    share: Values = np.full_like(of_base, np.nan)
    np.divide(root_mean(found), root_mean(base), out=share, where=of_base > 0)
    return share


def lost(
    found: Values, base: Values, found_drawn: Values, base_drawn: Values, share: float
) -> npt.NDArray[np.bool_]:
    """Say which distances lie below a share of the base's by more than chance.

    What is bounded is the squared distance less the share of the base's: where the base has next to
    none, a quotient would be noise.

    Args:
        found: squared distances, (entries,).
        base: the base's.
        found_drawn: as resampled, (resamples, entries).
        base_drawn: the base's, of the same draws.
        share: of the base's distance.

    Returns:
        bool (entries,).
    """
    surplus = found - share**2 * base
    drawn = found_drawn - share**2 * base_drawn
    below: npt.NDArray[np.bool_] = upper_bounds(surplus, drawn, (1 + CONFIDENCE) / 2) < 0
    return below


def upper_bounds(found: Values, drawn: Values, confidence: float) -> Values:
    """Bound many values from above so that all bounds hold together.

    Each is raised by its own bootstrap deviation times what the farthest of all values falls below
    its mean, in its own deviations, in `confidence` of the resamples (Romano and Wolf 2005, "Exact
    and approximate stepdown methods for multiple hypothesis testing", the single step).

    Args:
        found: (values,).
        drawn: (resamples, values).
        confidence: that no value lies above its bound.
    """
    import numpy as np

    deviation = drawn.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    farthest = ((drawn.mean(axis=0) - drawn) / scale).max(axis=1)
    bounds: Values = found + np.quantile(farthest, confidence) * deviation
    return bounds
