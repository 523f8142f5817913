"""Which checkpoint is the best: a weighted sum of comparable terms, and how sure that is.

Each term has a gain: how much better than the base a checkpoint is, on a scale that terms share
(`selection_terms` says how each is made). The score is the weighted mean of the gains, so that the
base scores 0 and 0.05 is 5 % better.

How sure it is is a paired bootstrap (`metrics.bootstrap`): the same tracks, clips and ratings are
drawn again for the base and every checkpoint, so what makes a track hard for all of them cancels
out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.metrics.bootstrap import centred_interval
from lofi_engine.metrics.figures import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

RESAMPLES = 1000


@dataclass(frozen=True)
class Standing:
    """Where one checkpoint stands in one term.

    Args:
        value: the term's own figure.
        gain: how much better than the base.
        drawn: the gain with what was counted drawn again, (RESAMPLES,); None where one alone was
            counted.
        parts: what more is known, as plain JSON values.
    """

    value: float
    gain: float
    drawn: Values | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Term:
    """One thing that checkpoints are judged by.

    Args:
        name: as `select.weights` names it.
        weight: how much it counts; 0 where it is only told.
        better: "lower" or "higher", of the figure.
        rule: how its gain is made, for people.
        base: the base's figure.
        standings: by checkpoint; not all need be in it.
        n: how many were counted.
        counted: what was, such as "tracks".
        details: more to be known, as plain JSON values.
    """

    name: str
    weight: float
    better: str
    rule: str
    base: float
    standings: Mapping[str, Standing]
    n: int
    counted: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def interval(self, checkpoint: str) -> Interval | None:
        """Give the interval of a checkpoint's gain; None where it cannot vary."""
        standing = self.standings[checkpoint]
        if standing.drawn is None:
            return None
        return _interval(standing.gain, standing.drawn, [self])


@dataclass(frozen=True)
class Ranked:
    """A checkpoint and its score.

    Args:
        name: its folder's.
        score: the weighted mean of its gains, higher is better; the base's is 0.
        interval: of the score; None where a term that counts has none.
    """

    name: str
    score: float
    interval: Interval | None

    @property
    def is_beyond_chance(self) -> bool:
        """Whether it differs from the base by more than chance."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True)
class Lead:
    """How far the chosen checkpoint is ahead of the second.

    Args:
        over: the second's name.
        value: the chosen one's score less the second's.
        interval: of the value; None where it cannot be told.
    """

    over: str
    value: float
    interval: Interval | None

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the chosen one is ahead by more than chance."""
        return self.interval is not None and self.interval.low > 0


@dataclass(frozen=True)
class Selection:
    """The choice.

    Args:
        ranked: every checkpoint that could be chosen, best first.
        lead: over the second; None where there is no other.
        out: why the others could not be chosen, by name.
    """

    ranked: tuple[Ranked, ...]
    lead: Lead | None
    out: Mapping[str, str]

    @property
    def chosen(self) -> Ranked:
        """The best."""
        return self.ranked[0]


def choose(checkpoints: Sequence[str], terms: Sequence[Term], out: Mapping[str, str]) -> Selection:
    """Rank the checkpoints by score; of equal ones the earlier is better.

    Args:
        checkpoints: their names, earliest first.
        terms: at least one counts.
        out: why some cannot be chosen, by name; all others have a standing in every term that
            counts.

    Raises:
        StageError: none can be chosen, or a score is no number; names the checkpoint.
    """
    counting = [term for term in terms if term.weight > 0]
    able = [name for name in checkpoints if name not in out]
    if not able:
        reasons = "; ".join(f"{name}: {out[name]}" for name in checkpoints)
        raise StageError(
            f"select: no checkpoint can be chosen: {reasons}",
            hint="change select.weights, or train again",
        )
    ranked = sorted((_ranked(name, counting) for name in able), key=lambda one: -one.score)
    lead = _lead(ranked[0], ranked[1], counting) if len(ranked) > 1 else None
    return Selection(tuple(ranked), lead, dict(out))


def _ranked(name: str, terms: Sequence[Term]) -> Ranked:
    total = math.fsum(term.weight for term in terms)
    score = math.fsum(term.weight * term.standings[name].gain for term in terms) / total
    if not math.isfinite(score):
        gains = ", ".join(f"{term.name} {term.standings[name].gain}" for term in terms)
        raise StageError(
            f"select: the score of {name} is {score} ({gains})",
            hint="train again with a lower training.learning_rate",
        )
    drawn = _drawn(name, terms)
    interval = None if drawn is None else _interval(score, drawn, terms)
    return Ranked(name, score, interval)


def _lead(first: Ranked, second: Ranked, terms: Sequence[Term]) -> Lead:
    value = first.score - second.score
    mine, theirs = _drawn(first.name, terms), _drawn(second.name, terms)
    if mine is None or theirs is None:
        return Lead(second.name, value, None)
    return Lead(second.name, value, _interval(value, mine - theirs, terms))


def _drawn(name: str, terms: Sequence[Term]) -> Values | None:
    """Give the score with everything drawn again; None where a term cannot be."""
    total = math.fsum(term.weight for term in terms)
    parts: list[Values] = []
    for term in terms:
        drawn = term.standings[name].drawn
        if drawn is None:
            return None
        parts.append(drawn * (term.weight / total))
    found: Values = sum(parts[1:], parts[0])
    return found


def _interval(value: float, drawn: Values, terms: Sequence[Term]) -> Interval | None:
    """Give the interval of a value; None where draws that are all alike tell nothing of chance.

    So are those of clips that were all given the same mark. It is as wide as the term asks for of
    which least was counted.
    """
    if value and not float(drawn.std()):
        return None
    counted = " and ".join(dict.fromkeys(term.counted for term in terms))
    found = centred_interval(value, drawn, min(term.n for term in terms))
    return replace(found, drawn=counted)
