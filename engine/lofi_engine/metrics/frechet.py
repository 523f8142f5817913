"""The Fréchet distance between Gaussians, computed so that it cannot come out negative.

For means m and covariances S (Dowson & Landau 1982; Heusel et al. 2017 for sets of embeddings;
Kilgour et al. 2019 for audio):

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The usual way takes the root of a product and then a difference of large numbers: small distances
drown in rounding, and can turn negative or complex. Here each covariance is S = L L^T, and the part
of the covariances is what is left when one factor is turned as near to the other as a rotation Q
can bring it (orthogonal Procrustes, Schönemann 1966):

    min over Q of ||L1 - L2 Q||_F^2 = tr S1 + tr S2 - 2 ||L2^T L1||_*

a sum of squares, of which nothing is subtracted. L is a triangle of the centred data, so that
covariances are never formed either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float64]

_NEGATIVE_TOLERANCE = 1e-8
_SMALLEST = 1e-290  # below, the inverse of a scale would be infinite


@dataclass(frozen=True)
class Gaussian:
    """What a Fréchet distance knows of a set.

    Args:
        mean: float64 (dimensions,).
        covariance: float64 (dimensions, dimensions), symmetric, without negative eigenvalues.
    """

    mean: Vectors
    covariance: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> Gaussian:
        """Estimate from (vectors, dimensions); the covariance divides by one less than vectors.

        Raises:
            MetricError: fewer than two vectors, or not all finite.
        """
        checked = _checked(vectors)
        mean = checked.mean(axis=0)
        centred = checked - mean
        covariance: npt.NDArray[np.float64] = centred.T @ centred / (len(centred) - 1)
        return cls(mean, covariance)


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Give the squared Fréchet distance between the Gaussians of two sets of vectors.

    Args:
        first: float64 (n, dimensions).
        second: float64 (m, dimensions).

    Returns:
        At least 0, in squared units of the vectors; right for fewer vectors than dimensions too.

    Raises:
        MetricError: different dimensions, fewer than two vectors, or not all finite.
    """
    one, other = _checked(first), _checked(second)
    _check_dimensions(one.shape[1], other.shape[1])
    shift = one.mean(axis=0) - other.mean(axis=0)
    return _distance(shift, _data_factor(one), _data_factor(other))


def frechet_between(first: Gaussian, second: Gaussian) -> float:
    """Give the squared Fréchet distance between two Gaussians, at least 0.

    Raises:
        MetricError: different dimensions, or a covariance with a negative eigenvalue.
    """
    _check_dimensions(len(first.mean), len(second.mean))
    shift = first.mean - second.mean
    return _distance(shift, covariance_factor(first), covariance_factor(second))


class DistanceTo:
    """Distances of many Gaussians to one reference, for resampling: the root is taken once.

    Needs eigenvalues alone, a tenth of the work of `frechet_between`, and is as exact as the sum of
    the traces allows: some 1e-8 of it. At least 0.

    Args:
        reference: what is measured to.
    """

    def __init__(self, reference: Gaussian) -> None:
        self._reference = reference
        factor = covariance_factor(reference)
        self._size = _size(factor)
        self._factor = factor / self._size
        self._trace = float(reference.covariance.trace())

    def __call__(self, other: Gaussian) -> float:
        """Give the squared distance of another Gaussian."""
        import numpy as np
        from scipy.linalg import eigvalsh

        size = _size(other.covariance)
        inner = self._factor.T @ (other.covariance / size) @ self._factor
        powers = eigvalsh(inner, overwrite_a=True, check_finite=False)
        shared = self._size * math.sqrt(size) * float(np.sqrt(np.maximum(powers, 0.0)).sum())
        shift = float(np.square(other.mean - self._reference.mean).sum())
        spread = self._trace + float(other.covariance.trace()) - 2 * shared
        return shift + max(0.0, spread)


def covariance_factor(gaussian: Gaussian) -> Vectors:
    """Give L (dimensions, dimensions) with covariance = L L^T.

    Raises:
        MetricError: an eigenvalue is negative by more than rounding.
    """
    import numpy as np
    from scipy.linalg import eigh

    values, vectors = eigh(gaussian.covariance)
    largest = float(np.abs(values).max())
    if values[0] < -_NEGATIVE_TOLERANCE * largest:
        raise MetricError(
            f"a covariance with the eigenvalue {values[0]:.3g}, its largest being {largest:.3g}",
            hint="give covariances of data: none of theirs is negative",
        )
    factor: npt.NDArray[np.float64] = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor


def _checked(vectors: Vectors) -> Vectors:
    import numpy as np

    found = np.asarray(vectors, dtype=np.float64)
    if found.ndim != 2 or len(found) < 2:
        raise MetricError(
            f"vectors of shape {found.shape} have no covariance", hint="give two vectors or more"
        )
    if not np.isfinite(found).all():
        raise MetricError("NaN or infinity among the vectors", hint="use another embedding")
    return found


def _check_dimensions(first: int, second: int) -> None:
    if first != second:
        raise MetricError(
            f"vectors of {first} dimensions against {second}", hint="embed both sets with one model"
        )


def _data_factor(vectors: Vectors) -> Vectors:
    """Give L (dimensions, at most dimensions) of vectors, without forming their covariance."""
    import numpy as np
    from scipy.linalg import qr

    centred = vectors - vectors.mean(axis=0)
    count, dimensions = centred.shape
    if count > dimensions:
        (centred,) = qr(centred, mode="r", overwrite_a=True, check_finite=False)
        centred = centred[:dimensions]
    factor: npt.NDArray[np.float64] = centred.T / np.sqrt(count - 1)
    return factor


def _distance(shift: Vectors, first: Vectors, second: Vectors) -> float:
    """Add the squared shift to the Procrustes residual of two factors."""
    import numpy as np

    scale = 1 / _size(shift, first, second)
    narrow, wide = sorted((first * scale, second * scale), key=lambda factor: factor.shape[1])
    total = np.square(shift * scale).sum()
    total += sum(np.square(left).sum() for left in _residuals(narrow, wide))
    return float(total) / scale / scale


def _residuals(narrow: Vectors, wide: Vectors) -> tuple[Vectors, ...]:
    """Give what is left of two factors when one is turned as near to the other as can be.

    The narrower one counts as filled up with columns of zeros, which leaves its covariance as it
    is. The rotation then has columns that meet the zeros: all that is orthogonal to the others.
    """
    from scipy.linalg import svd

    cross = wide.T @ narrow
    left, _, right = svd(cross, full_matrices=False, overwrite_a=True, check_finite=False)
    turned = wide @ left
    met = narrow - turned @ right
    return (met,) if left.shape[0] == left.shape[1] else (met, wide - turned @ left.T)


def _size(*parts: Vectors) -> float:
    """Give a power of two near the largest value: by it, scaling is exact and no square is lost."""
    import numpy as np

    largest = max(float(np.abs(part).max()) for part in parts)
    return float(2.0 ** np.frexp(max(largest, _SMALLEST))[1])
