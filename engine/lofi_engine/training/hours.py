"""How long a training will take, from what a few of its steps took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from lofi_engine.recipe.model import Training
from lofi_engine.training.validation import LEVELS

_PASSES = 3
"""A step is a forward pass and a backward pass of twice its cost."""


@dataclass(frozen=True)
class Extras:
    """What is computed besides steps.

    Args:
        held_out_tracks: measured at every checkpoint.
        clip_windows: windows that a round of samples passes through the network, over all clips
            and denoising steps; decoding is not counted.
    """

    held_out_tracks: int = 0
    clip_windows: float = 0.0


def step_seconds(clock: Sequence[float]) -> float:
    """Give the seconds of a step from the times at which steps ended.

    Args:
        clock: at least two; the first step warms up and is counted only where there is no other.
    """
    spans = [after - before for before, after in pairwise(clock)]
    return median(spans[1:] or spans)


def training_seconds(
    step_sec: float, training: Training, extras: Extras, *, done: int = 0
) -> float:
    """Estimate the seconds from here to the last step.

    Args:
        step_sec: of one step.
        training: how it is trained.
        extras: what is computed besides.
        done: steps already taken.
    """
    left = max(0, training.steps - done)
    forward_sec = step_sec / (_PASSES * training.batch_size * training.accumulate)
    checkpoints = training.steps // training.checkpoint_every - done // training.checkpoint_every
    rounds = training.steps // training.sample_every - done // training.sample_every
    rounds += 0 if done >= training.sample_every or not rounds else 1  # the base's own clips
    held_out = checkpoints * extras.held_out_tracks * len(LEVELS)
    return left * step_sec + forward_sec * (held_out + rounds * extras.clip_windows)


def duration_in_words(seconds: float) -> str:
    """Write a duration as people do: "58.3 h", "12 min", "40 s"."""
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s"
