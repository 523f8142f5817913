"""One step of an adversarial training: the judges learn, and say what they hold against a sound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lofi_engine.pretraining.discriminators import Discriminators, judge, judged, likeness
from lofi_engine.pretraining.loop import Loop


@dataclass(frozen=True)
class JudgeWeights:
    """How much the maker of a sound listens to its judges.

    Args:
        judged: weight of being told from a true sound.
        features: weight of looking otherwise to the judges' layers.
    """

    judged: float
    features: float


def judge_sound(
    loop: Loop,
    judges: Discriminators,
    made: Tensor,
    sound: Tensor,
    losses: dict[str, float],
    weights: JudgeWeights,
) -> Tensor:
    """Teach the judges one step; give what they hold against the made sound.

    Args:
        loop: of which the judges are helpers.
        judges: taught.
        made: (batch, samples).
        sound: the true one, likewise.
        losses: gets "judge", "judged" and "features", unweighted.
        weights: of the sum that is given.
    """
    with loop.arithmetic():
        fault = judge(judges(sound), judges(made.detach()))
    loop.step_helpers(fault)
    with loop.arithmetic():
        true, guess = judges(sound), judges(made)
    told, alike = judged(guess), likeness(true, guess)
    losses |= {"judge": fault.item(), "judged": told.item(), "features": alike.item()}
    return weights.judged * told + weights.features * alike
