"""Says from the figures at each level whether a metric ranks a degradation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lofi_engine.metrics.figures import HIGHER, LOWER, Difference

RANKED, THRESHOLD, MISORDERED, BLIND = "ranked", "threshold", "misordered", "blind"

MEANINGS = {
    RANKED: "told from the undegraded from the stated level on, every further level strictly worse",
    THRESHOLD: "told from the undegraded, but the levels told are not ordered: alike, or only one",
    MISORDERED: "a more severe level has the better figure, or the degraded one beats the original",
    BLIND: "no level is told from the undegraded",
}


@dataclass(frozen=True)
class Rung:
    """A metric at one level of a degradation.

    Args:
        level: in the degradation's unit.
        difference: of the degraded clips to the undegraded; None where the metric refused.
        refused: why it did.
    """

    level: float
    difference: Difference | None
    refused: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a metric makes of a degradation.

    Args:
        word: RANKED, THRESHOLD, MISORDERED or BLIND.
        told_from: the mildest level at which it is told from the undegraded; None where none is.
    """

    word: str
    told_from: float | None = None


def judge(rungs: Sequence[Rung]) -> Verdict:
    """Judge the figures of one metric along one degradation.

    A level is told where the paired bootstrap interval of its difference to the undegraded leaves
    out zero. Below the first such level nothing is asked of the order; from there on each level
    must be told and strictly worse than the one before. A metric for which neither way is better
    must move one way. Levels it refused are passed over.

    Args:
        rungs: from mild to severe.
    """
    measured = [rung for rung in rungs if rung.difference is not None]
    differences = [rung.difference for rung in measured if rung.difference is not None]
    sign = _sign(differences)
    harms = [sign * difference.value for difference in differences]
    lows = [_low(difference, sign) for difference in differences]
    highs = [-_low(difference, -sign) for difference in differences]
    told = [index for index, low in enumerate(lows) if low > 0]
    first = told[0] if told else None
    level = None if first is None else measured[first].level
    if any(high < 0 for high in highs):
        return Verdict(MISORDERED, level)
    if first is None:
        return Verdict(BLIND)
    before = max(harms[:first], default=-math.inf)
    from_there = harms[first:]
    falls = any(later < earlier for earlier, later in pairwise(from_there))
    if before >= from_there[0] or falls or len(told) < len(from_there):
        return Verdict(MISORDERED, level)
    if len(told) == 1 or any(later == earlier for earlier, later in pairwise(from_there)):
        return Verdict(THRESHOLD, level)
    return Verdict(RANKED, level)


def _sign(differences: Sequence[Difference]) -> int:
    """Give what makes a difference positive where it is for the worse."""
    for difference in differences:
        if difference.first.better in (LOWER, HIGHER):
            return 1 if difference.first.better == LOWER else -1
    told = [one for one in differences if one.interval.low > 0 or one.interval.high < 0]
    return -1 if told and told[-1].value < 0 else 1


def _low(difference: Difference, sign: int) -> float:
    """Give the lower end of the interval of the harm."""
    return difference.interval.low if sign > 0 else -difference.interval.high
