"""What stops a training that is no longer one: losses that run away, adapters that do nothing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import EarlyStop

if TYPE_CHECKING:
    from peft import PeftModel

    from lofi_engine.models.family import Base
    from lofi_engine.training.batches import Batch

WINDOW_STEPS = 50
"""Over how many steps the loss is judged: single ones jump with the noise level drawn."""
RUNAWAY = 3.0
"""How many times its lowest median the loss may reach."""
_PROBE_TIMESTEP = 500.0


class Divergence:
    """Watches the median loss of the last steps.

    Args:
        losses: those of the steps already taken.
    """

    def __init__(self, losses: Sequence[float] = ()) -> None:
        self._recent: list[float] = []
        self._lowest = float("inf")
        self._lowest_step = 0
        self._step = 0
        for loss in losses:
            self.take(loss)

    def take(self, loss: float) -> str:
        """Take a step's loss; give what is wrong, "" where nothing is."""
        self._step += 1
        self._recent = [*self._recent[-(WINDOW_STEPS - 1) :], loss]
        if len(self._recent) < WINDOW_STEPS:
            return ""
        median = statistics.median(self._recent)
        if median < self._lowest:
            self._lowest, self._lowest_step = median, self._step
        if median <= RUNAWAY * self._lowest:
            return ""
        return (
            f"the loss runs away: its median over {WINDOW_STEPS} steps is {median:.4g} at step "
            f"{self._step}, and was {self._lowest:.4g} at step {self._lowest_step}"
        )


def is_over(held_out: dict[int, float], rule: EarlyStop | None) -> bool:
    """Say whether so many checkpoints in a row brought no better held-out loss.

    Args:
        held_out: the loss by step.
        rule: the recipe's; None never ends.
    """
    if rule is None:
        return False
    best, since = float("inf"), 0
    for step in sorted(held_out):
        if held_out[step] < best * (1.0 - rule.min_improvement):
            best, since = held_out[step], 0
        else:
            since += 1
    return since >= rule.checkpoints


def adapter_effect(base: Base, model: PeftModel, batch: Batch) -> float:
    """Measure how far the adapter moves the base's answer: the commonest failure is not at all.

    Args:
        base: whose transformer `model` is put on; left in the mode it was in.
        model: the adapter.
        batch: what is asked, with its latents in the place of noise.

    Returns:
        The root-mean-square difference over the base's own deviation; 0 is no effect.
    """
    import torch

    device = next(base.transformer.parameters()).device
    latents, conditioning = batch.latents.to(device), batch.conditioning.to(device)
    timestep = torch.full((len(latents),), _PROBE_TIMESTEP, device=device)
    was_training = base.transformer.training
    base.transformer.eval()
    with torch.inference_mode():
        adapted = base.velocity(latents, timestep, conditioning).float()
        with model.disable_adapter():
            alone = base.velocity(latents, timestep, conditioning).float()
    base.transformer.train(was_training)
    return float((adapted - alone).square().mean().sqrt() / alone.std())


def check_effect(
    effect: float, norm: float, step: int, *, last: bool, warn: Callable[[str], None]
) -> None:
    """Refuse to go on with an adapter that changes nothing.

    Early on a step can be so small that a base in bfloat16 rounds it away: that is a warning.

    Args:
        effect: as `adapter_effect` gives it.
        norm: of the adapter, see `adapters.adapter_norm`.
        step: after which it was measured.
        last: whether training ends here.
        warn: takes the warning.

    Raises:
        StageError: every `lora_B` is zero, the output of the finished adapter does not move, or it
            is not a number.
    """
    if not math.isfinite(norm + effect):
        raise StageError(
            f"train: after {step} steps the adapter's output is not a number",
            hint="lower training.learning_rate or use precision fp32",
        )
    if norm > 0.0 and effect > 0.0:
        return
    what = (
        "every lora_B is zero"
        if norm == 0.0
        else f"its weights moved (norm {norm:.3g}), the output did not"
    )
    said = f"train: after {step} steps the adapter changes nothing: {what}"
    if norm > 0.0 and not last:
        warn(said)
        return
    raise StageError(said, hint="train more steps or raise training.learning_rate")


def check_growth(effects: Mapping[int, float], warn: Callable[[str], None]) -> None:
    """Warn of a finished adapter that moves the output no further than at its first checkpoint.

    Args:
        effects: as `adapter_effect` gave them, by step.
        warn: takes the warning.
    """
    steps = sorted(effects)
    if len(steps) < 2 or effects[steps[-1]] > effects[steps[0]]:
        return
    warn(
        f"train: the adapter's effect has not grown: {effects[steps[0]]:.3g} of the output after "
        f"{steps[0]} steps, {effects[steps[-1]]:.3g} after {steps[-1]}"
    )
