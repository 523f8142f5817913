"""What the newest checkpoint says of its training, read without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lofi_engine.training.checkpoints import LOOP, RESUME, all_checkpoints
from lofi_runtime.atomic import read_json


def recorded_losses(folder: Path) -> list[float]:
    """Give the loss of every step up to the newest checkpoint; none where there is none.

    Args:
        folder: holds the checkpoints.
    """
    from safetensors import safe_open

    places = all_checkpoints(folder)
    if not places:
        return []
    with safe_open(places[-1] / RESUME, "pt") as file:
        losses: list[float] = file.get_tensor("history/steps")[:, 0].tolist()
    return losses


def recorded_judgements(folder: Path) -> Mapping[str, Mapping[int, float]]:
    """Give what was measured at checkpoints up to the newest one, by what it is and by step.

    Args:
        folder: holds the checkpoints.

    Returns:
        "held_out_loss" and "adapter_effect"; see `history.History`.
    """
    places = all_checkpoints(folder)
    loop = read_json(places[-1] / LOOP) if places else {}
    return {
        name: {int(step): value for step, value in loop.get(key, {}).items()}
        for name, key in (("held_out_loss", "held_out"), ("adapter_effect", "effects"))
    }
