"""Sums of each clip's vectors, from which any choice of clips has its Gaussian at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.embedded import EmbeddedSet
from lofi_engine.metrics.frechet import Gaussian

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float64]

_KEPT_BYTES = 2**29


class ClipMoments:
    """What Gaussians of chosen clips are made of.

    Keeps every clip's count, sum and sum of products; where the products would take more than
    512 MiB, the vectors are weighted at every choice instead: slower, with the same result.

    Args:
        embedded: the set.
        kept_bytes: how much the products may take.
    """

    def __init__(self, embedded: EmbeddedSet, kept_bytes: int = _KEPT_BYTES) -> None:
        import numpy as np

        clips = [embedded.vectors[name] for name in embedded.names]
        self.label = embedded.label
        self._centre = embedded.stacked().mean(axis=0)
        centred = [vectors - self._centre for vectors in clips]
        self._counts = np.array([len(vectors) for vectors in clips], dtype=np.float64)
        self._sums = np.stack([vectors.sum(axis=0) for vectors in centred])
        self._vectors = np.concatenate(centred)
        self._products: Vectors | None = None
        if len(clips) * embedded.dimensions**2 * 8 <= kept_bytes:
            self._products = np.stack([(vectors.T @ vectors).ravel() for vectors in centred])

    @property
    def clips(self) -> int:
        """How many clips there are."""
        return len(self._counts)

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return int(self._sums.shape[1])

    @property
    def windows(self) -> int:
        """How many windows all clips have."""
        return int(self._counts.sum())

    def weights(self, drawn: npt.NDArray[np.int64]) -> Vectors:
        """Give how often each clip is in a draw of places."""
        import numpy as np

        found: Vectors = np.bincount(drawn, minlength=self.clips).astype(np.float64)
        return found

    def windows_of(self, weights: Vectors) -> float:
        """Give how many windows a choice has."""
        return float(weights @ self._counts)

    def gaussian(self, weights: Vectors | None = None) -> Gaussian:
        """Give the Gaussian of a choice of clips.

        Args:
            weights: (clips,) how often each one is in; every clip once if not given.

        Raises:
            MetricError: fewer than two windows are chosen.
        """
        import numpy as np

        if weights is None:
            weights = np.ones(self.clips)
        count = self.windows_of(weights)
        if count < 2:
            raise MetricError(
                f"{self.label}: {count:.0f} windows have no covariance", hint="use longer clips"
            )
        mean = weights @ self._sums / count
        products = self._weighted_products(weights) - count * np.outer(mean, mean)
        return Gaussian(self._centre + mean, products / (count - 1))

    def _weighted_products(self, weights: Vectors) -> Vectors:
        import numpy as np

        if self._products is not None:
            found: Vectors = weights @ self._products
            return found.reshape(self.dimensions, self.dimensions)
        by_window = np.repeat(weights, self._counts.astype(np.int64))
        inside = self._vectors[by_window > 0]
        chosen = (inside * by_window[by_window > 0, None]).T @ inside
        return np.asarray(chosen)
