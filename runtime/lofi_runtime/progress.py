"""One percent and one estimate out of the stages a backend reports."""

from __future__ import annotations

import time
from collections.abc import Callable

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
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}
        self.stage = "queued"
        self.percent = 0
        self.current_step = 0
        self.total_steps = 0
        self._ends_at: float | None = None

    def update(self, stage: str, done: int, total: int) -> bool:
        """Take a backend's report; returns whether there is anything new to tell."""
        before = (self.stage, self.percent, self.current_step)
        self.stage = stage
        # Stages may alternate: each is timed from its first report on.
        began = self._began.setdefault(stage, self._clock())
        low, high = SPANS.get(stage, (self.percent, self.percent))
        share = min(done / total, 1.0) if total > 0 else 0.0
        self.percent = min(max(self.percent, int(low + (high - low) * share)), MAX_PERCENT)
        self.current_step, self.total_steps = done, total
        if done >= WARM_UP_STEPS and high - low >= MAIN_SPAN:
            self._estimate(began, done, total, (high - low) * share, 100 - high)
        return before != (self.stage, self.percent, self.current_step)

    @property
    def eta_sec(self) -> float | None:
        """Seconds until the end; None until enough steps of the main stage are done."""
        if self._ends_at is None:
            return None
        return round(max(self._ends_at - self._clock(), 0.0), 2)

    def _estimate(
        self, began: float, done: int, total: int, percent_done: float, percent_after: int
    ) -> None:
        """Assume that what follows the stage is as fast as it, percent for percent."""
        now = self._clock()
        elapsed = now - began
        rest_of_stage = elapsed / done * max(total - done, 0)
        self._ends_at = now + rest_of_stage + elapsed / percent_done * percent_after
