"""How much disk a training takes, from its configuration alone: no torch."""

from __future__ import annotations

from lofi_engine.models.training_outline import TrainingOutline
from lofi_engine.recipe.model import Lora, Training
from lofi_engine.training.memory import estimate_training_memory
from lofi_engine.training.sample_prompts import clip_length
from lofi_runtime.styles.taxonomy import GROUPS

_FLOAT32 = 4
_RESUMABLE = 3
"""Optimizer states on the disk at once: of the two newest checkpoints, and of the next while it is
written (`training.checkpoints`)."""
_CLIP_BYTES_PER_SEC = 48_000 * 2 * 2
"""Of a FLAC, which is never larger than what it holds."""
_PICTURE_BYTES = 400_000


def estimate_training_disk(
    outline: TrainingOutline, lora: Lora, training: Training, *, steps_left: int | None = None
) -> dict[str, int]:
    """Estimate what a training leaves on the disk while it runs, in bytes by what it is.

    Args:
        outline: of the base.
        lora: the adapter's shape.
        training: how it is trained.
        steps_left: how many steps are still to come; None for all of them.
    """
    steps = training.steps if steps_left is None else steps_left
    memory = estimate_training_memory(outline, lora, training)
    checkpoints = -(-steps // training.checkpoint_every)
    rounds = 1 + steps // training.sample_every  # the base's clips too
    clip = clip_length(training.window_sec) * _CLIP_BYTES_PER_SEC + _PICTURE_BYTES
    return {
        "adapters": (checkpoints + 1) * memory.adapter_weights * _FLOAT32,
        "optimizer": min(checkpoints + 1, _RESUMABLE) * memory.parts["optimizer"],
        "samples": rounds * len(GROUPS) * clip,
    }
