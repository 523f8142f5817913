"""One percent and one estimate out of the stages a backend reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

MAX_PERCENT = 99
WARM_UP_STEPS = 2
"""An estimate from fewer steps is worse than none: the first includes what is done once."""
MAIN_SPAN = 50
"""Only a stage that is at least so many percent of the whole says how long the whole takes."""

# Where each stage lies in the whole, in percent: denoising is nearly all of the time.
SPANS: dict[str, tuple[int, int]] = {
    "verify": (0, 3),
    "load": (3, 5),
    "encode": (5, 7),
    "denoise": (7, 92),
    "decode": (92, 97),
    "master": (97, 98),
    "write": (98, 99),
    "compose": (0, 5),
    "render": (5, 35),
    "mix": (35, 98),
}


class ProgressMeter:
    """Follows one track.

    Args:
        costs: of each step of the main stage, in any unit; steps of one cost are taken to last
            equally long. Empty where every step costs the same.
        after_sec: seconds from the main stage's end to the track's, where a track before told.
        after_cost: of what follows the main stage, in the unit of `costs`, where `after_sec` is
            None. Without both it is taken to be as fast as the main stage, percent for percent.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        costs: Sequence[int] = (),
        after_sec: float | None = None,
        after_cost: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._costs = costs
        self._after_sec = after_sec
        self._after_cost = after_cost
        self._began: dict[str, float] = {}
        self._pace = _Pace()
        self.stage = "queued"
        self.percent = 0
        self.current_step = 0
        self.total_steps = 0
        self._ends_at: float | None = None
        self._main_ended_at: float | None = None

    def update(self, stage: str, done: int, total: int) -> bool:
        """Take a backend's report; returns whether there is anything new to tell."""
        before = (self.stage, self.percent, self.current_step)
        self.stage = stage
        # Stages may alternate: each is timed from its first report on.
        began = self._began.setdefault(stage, self._clock())
        low, high = SPANS.get(stage, (self.percent, self.percent))
        costs = self._costs_of(total)
        share = min(sum(costs[:done]) / sum(costs), 1.0) if total > 0 else 0.0
        self.percent = min(max(self.percent, int(low + (high - low) * share)), MAX_PERCENT)
        self.current_step, self.total_steps = done, total
        if high - low >= MAIN_SPAN:
            self._pace.passed(costs[:done], self._clock() - began)
            if done >= WARM_UP_STEPS:
                self._estimate(costs, done, (high - low) / 100, (100 - high) / 100)
            self._main_ended_at = None
        elif self._pace.steps and self._main_ended_at is None:
            self._main_ended_at = self._clock()
        return before != (self.stage, self.percent, self.current_step)

    @property
    def eta_sec(self) -> float | None:
        """Seconds until the end; None until enough steps of the main stage are done."""
        if self._ends_at is None:
            return None
        return round(max(self._ends_at - self._clock(), 0.0), 2)

    @property
    def since_main_sec(self) -> float | None:
        """Seconds since the main stage ended; None before."""
        return None if self._main_ended_at is None else self._clock() - self._main_ended_at

    def _costs_of(self, total: int) -> Sequence[int]:
        return self._costs if len(self._costs) == total else [1] * max(total, 1)

    def _estimate(self, costs: Sequence[int], done: int, span: float, span_after: float) -> None:
        rest_sec = sum(self._pace.step_sec(cost) for cost in costs[done:])
        after_sec = self._after_sec
        if after_sec is None and self._after_cost is not None:
            after_sec = self._pace.step_sec(1) * self._after_cost
        if after_sec is None:
            whole_sec = sum(self._pace.step_sec(cost) for cost in costs)
            after_sec = whole_sec / span * span_after
        self._ends_at = self._clock() + rest_sec + after_sec


class _Pace:
    """How long steps take, by what they cost."""

    def __init__(self) -> None:
        self.steps = 0
        self._elapsed_sec = 0.0
        self._sums: dict[int, tuple[float, int]] = {}

    def passed(self, costs: Sequence[int], elapsed_sec: float) -> None:
        """Learn from the steps done since the last call; all that were, with what they cost."""
        new = costs[self.steps :]
        taken_sec = elapsed_sec - self._elapsed_sec
        for cost in new:
            total_sec, count = self._sums.get(cost, (0.0, 0))
            self._sums[cost] = total_sec + taken_sec * cost / sum(new), count + 1
        if new:
            self.steps, self._elapsed_sec = len(costs), elapsed_sec

    def step_sec(self, cost: int) -> float:
        """Give the seconds a step of this cost takes; of costs not seen yet, in proportion."""
        if cost in self._sums:
            total_sec, count = self._sums[cost]
            return total_sec / count
        total_sec = sum(one for one, _ in self._sums.values())
        work = sum(each * count for each, (_, count) in self._sums.items())
        return total_sec / work * cost if work else 0.0
