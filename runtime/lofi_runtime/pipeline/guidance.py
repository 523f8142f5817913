"""Guidance: one velocity from the conditional and the unconditional prediction.

Every function takes and gives float32 arrays (batch, channels, height, frames).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]


class Guidance(Protocol):
    """One run's guidance; APG keeps momentum between steps, so make one for each run."""

    def __call__(
        self, conditional: Floats, unconditional: Floats, scale: float, index: int
    ) -> Floats:
        """Combine the predictions of evaluation `index` (0-based) with guidance scale `scale`."""
        ...


class Cfg:
    """Classifier-free guidance (Ho and Salimans, 2022)."""

    def __call__(
        self, conditional: Floats, unconditional: Floats, scale: float, index: int
    ) -> Floats:
        """Give `unconditional + scale (conditional - unconditional)`."""
        guided: Floats = unconditional + (conditional - unconditional) * float(scale)
        return guided


class Apg:
    """Adaptive projected guidance (Sadat et al., 2024): ACE-Step's own.

    The difference of the predictions gathers momentum, is shortened to `norm_threshold` where it is
    longer, and loses its part along the conditional prediction; norms and projections are taken
    over the last two axes.

    Args:
        momentum: what is kept of the running difference at each step; negative looks back.
        norm_threshold: greatest length of the difference; 0 for no limit.
        eta: share of the parallel part that is kept.
    """

    def __init__(
        self, momentum: float = -0.75, norm_threshold: float = 2.5, eta: float = 0.0
    ) -> None:
        self._momentum = np.float32(momentum)
        self._norm_threshold = norm_threshold
        self._eta = eta
        self._running: Floats | None = None

    def __call__(
        self, conditional: Floats, unconditional: Floats, scale: float, index: int
    ) -> Floats:
        """Give `conditional + (scale - 1) (update - (1 - eta) parallel)`.

        Update and parallel part are multiples of two arrays, one factor a channel: the factors are
        found first, so that no long array is made twice.
        """
        difference: Floats = conditional - unconditional
        if self._running is not None:
            difference += self._momentum * self._running
        self._running = difference
        shortening = _shortening(difference, self._norm_threshold)
        length = np.maximum(np.sqrt(_dot(conditional, conditional)), 1e-12)
        parallel = shortening * _dot(difference, conditional) / np.square(length)
        push = scale - 1.0
        of_conditional = 1.0 - push * (1.0 - self._eta) * parallel
        guided: Floats = conditional * of_conditional.astype(np.float32)
        guided += difference * (push * shortening).astype(np.float32)
        return guided


class CfgZeroStar:
    """CFG-zero-star (Fan et al., 2025): an optimal scale for the unconditional, zeros at first.

    Args:
        zero_steps: evaluations up to and including this index give zero velocity.
    """

    def __init__(self, zero_steps: int = 1) -> None:
        self._zero_steps = zero_steps

    def __call__(
        self, conditional: Floats, unconditional: Floats, scale: float, index: int
    ) -> Floats:
        """Give CFG with the unconditional prediction scaled to its projection."""
        if index <= self._zero_steps:
            return np.zeros_like(conditional)
        rows = (len(conditional), -1)
        flat, other = conditional.reshape(rows), unconditional.reshape(rows)
        dot = np.sum(flat * other, axis=1, dtype=np.float64)
        length = np.sum(other * other, axis=1, dtype=np.float64) + 1e-8
        best = (dot / length).astype(np.float32).reshape(-1, *[1] * (conditional.ndim - 1))
        base: Floats = unconditional * best
        guided: Floats = base + (conditional - base) * float(scale)
        return guided


def double_condition(
    conditional: Floats,
    unconditional: Floats,
    text_only: Floats,
    text_scale: float,
    lyric_scale: float,
) -> Floats:
    """Guide by text and lyrics apart.

    Gives `(1 - text_scale) unconditional + (text_scale - lyric_scale) text_only + lyric_scale
    conditional`.
    """
    guided: Floats = (
        np.float32(1.0 - text_scale) * unconditional
        + np.float32(text_scale - lyric_scale) * text_only
        + np.float32(lyric_scale) * conditional
    )
    return guided


GUIDANCES = ("apg", "cfg", "cfg_star")


def make_guidance(name: str) -> Guidance:
    """Make the guidance "apg", "cfg" or "cfg_star" for one run.

    Raises:
        ValueError: the name is unknown.
    """
    if name == "apg":
        return Apg()
    if name == "cfg":
        return Cfg()
    if name == "cfg_star":
        return CfgZeroStar()
    raise ValueError(f"guidance is '{name}', must be one of {', '.join(GUIDANCES)}")


def _shortening(difference: Floats, threshold: float) -> Float64s:
    """Give the factors (batch, channels, 1, 1) that bring lengths down to `threshold`."""
    length = np.sqrt(_dot(difference, difference))
    if threshold <= 0.0:
        return np.ones_like(length)
    return np.minimum(1.0, threshold / np.maximum(length, np.finfo(np.float64).tiny))


def _dot(one: Floats, other: Floats) -> Float64s:
    """Give the products' sums over the last two axes, which stay; summed in float64."""
    sums: Float64s = np.sum(one * other, axis=(-2, -1), keepdims=True, dtype=np.float64)
    return sums
