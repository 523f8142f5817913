"""Remembers what an embedding made of windows: several metrics, and the page, ask for the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from lofi_engine.metrics.protocol import Embedding

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class RememberedEmbedding:
    """An embedding that is made when it is first asked for, and embeds equal windows once.

    Args:
        make: makes it; what it raises is raised by whatever asks first.
    """

    def __init__(self, make: Callable[[], Embedding]) -> None:
        self._make = make
        self._vectors: dict[bytes, npt.NDArray[np.float64]] = {}

    @cached_property
    def _embedding(self) -> Embedding:
        return self._make()

    @property
    def name(self) -> str:
        """With its version."""
        return self._embedding.name

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return self._embedding.dimensions

    @property
    def sample_rate(self) -> int:
        """Of the windows, in Hz."""
        return self._embedding.sample_rate

    @property
    def channels(self) -> int:
        """Of the windows."""
        return self._embedding.channels

    @property
    def window_sec(self) -> float:
        """How long a window is."""
        return self._embedding.window_sec

    @property
    def hop_sec(self) -> float:
        """From one window to the next."""
        return self._embedding.hop_sec

    @property
    def sees(self) -> frozenset[str]:
        """What the embedding claims to see of the ladder."""
        return frozenset(getattr(self._embedding, "sees", ()))

    def embed(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Embed windows, or give what was made of the same ones before.

        Args:
            windows: float32 (windows, channels, samples).

        Returns:
            float64 (windows, dimensions), a copy.
        """
        key = hashlib.sha256(f"{windows.shape}".encode() + windows.tobytes()).digest()
        if key not in self._vectors:
            self._vectors[key] = self._embedding.embed(windows)
        return self._vectors[key].copy()
