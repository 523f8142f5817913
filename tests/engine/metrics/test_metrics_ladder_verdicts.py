"""What the figures at each level are called."""

from __future__ import annotations

import pytest

from lofi_engine.metrics.figures import HIGHER, LOWER, Difference, Figure, Interval
from lofi_engine.metrics.ladder.verdicts import (
    BLIND,
    MISORDERED,
    RANKED,
    THRESHOLD,
    Rung,
    Verdict,
    judge,
)


def _rungs(*changes, better=LOWER, spread=0.5):
    """Make a rung a change; its interval is the change and as much as `spread` either way."""
    rungs = []
    for level, change in enumerate(changes):
        if change is None:
            rungs.append(Rung(level, None, "refused"))
            continue
        figure = Figure("fad", 5.0 + change, None, 10, "clips", better)
        before = Figure("fad", 5.0, None, 10, "clips", better)
        interval = Interval(change - spread, change + spread, 200)
        rungs.append(Rung(level, Difference("fad", change, None, interval, 10, figure, before)))
    return rungs


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ((1, 2, 3, 4, 5), Verdict(RANKED, 0)),
        ((0, 0.2, 0.1, 1, 2), Verdict(RANKED, 3)),  # no order is asked for below what is told
        ((0, -0.1, 0.1, 0.2, 0.3), Verdict(BLIND)),
        ((0, 0, 0, 0, 1), Verdict(THRESHOLD, 4)),  # one level told says nothing of order
        ((0, 0, 1, 1, 1), Verdict(THRESHOLD, 2)),
        ((0, 1, 2, 2, 2), Verdict(THRESHOLD, 1)),
        ((1, 3, 2, 4, 5), Verdict(MISORDERED, 0)),
        ((1, 2, 3, 0.1, 5), Verdict(MISORDERED, 0)),  # not told in between
        ((-1, 0, 1, 2, 3), Verdict(MISORDERED, 2)),  # better than the original at first
        ((-1, -2, -3, -4, -5), Verdict(MISORDERED)),
        ((1, 2, 3, None, None), Verdict(RANKED, 0)),
        ((None, None, None), Verdict(BLIND)),
    ],
)
def test_a_verdict_follows_from_order_and_from_what_is_told(changes, verdict):
    assert judge(_rungs(*changes)) == verdict


def test_where_higher_is_better_a_fall_is_the_harm():
    assert judge(_rungs(-1, -2, -3, better=HIGHER)) == Verdict(RANKED, 0)
    assert judge(_rungs(1, 2, 3, better=HIGHER)) == Verdict(MISORDERED)


@pytest.mark.parametrize("sign", [1, -1])
def test_where_neither_way_is_better_any_one_way_will_do(sign):
    assert judge(_rungs(0, sign, 2 * sign, better="")) == Verdict(RANKED, 1)
    assert judge(_rungs(-sign, sign, 2 * sign, better="")).word == MISORDERED


def test_a_told_level_that_is_no_worse_than_one_not_told_is_out_of_order():
    wide, narrow = _rungs(1.0, spread=2.0), _rungs(0, 0.9, spread=0.1)
    assert judge([*wide, narrow[1]]) == Verdict(MISORDERED, 1)
