"""What a training step says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a track that a step saw.

    Args:
        sigma: how much noise it was shown with, 0 to 1.
        style: the id of its track's style, "" where it has none.
        loss: its denoising error.
    """

    sigma: float
    style: str
    loss: float


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step, over all processes.

    Args:
        step: its number, from 1.
        loss: what was stepped on, projection loss included.
        denoising_loss: the mean of the windows' own.
        projection_loss: of the SSL features, by model, before its coefficient; empty without them.
        learning_rate: it was taken with.
        gradient_norm: before clipping.
        windows: what it saw.
    """

    step: int
    loss: float
    denoising_loss: float
    projection_loss: dict[str, float]
    learning_rate: float
    gradient_norm: float
    windows: tuple[Window, ...]


Report = Callable[[StepReport], None]
"""Called in the first process after every step."""


def ignore_warning(_message: str) -> None:
    """Tell nobody."""


def ignore_step(_said: StepReport) -> None:
    """Show nobody."""
