"""The line a human reads while training: loss, smoothed loss, rate, time left."""

from __future__ import annotations

import time

_WARM_UP = 3
_SMOOTHING = 0.95


class ProgressLine:
    """Writes one line a step; the first steps after a start are not timed.

    Args:
        steps: how many there will be.
        batch_size: tracks a step.
    """

    def __init__(self, steps: int, batch_size: int) -> None:
        self._steps = steps
        self._batch_size = batch_size
        self._smoothed: float | None = None
        self._seen = 0
        self._clock = 0.0

    def write(self, step: int, loss: float) -> str:
        """Give the line after `step`."""
        previous = loss if self._smoothed is None else self._smoothed
        self._smoothed = _SMOOTHING * previous + (1 - _SMOOTHING) * loss
        self._seen += 1
        if self._seen == _WARM_UP:
            self._clock = time.monotonic()
        text = f"loss {loss:.4f} (smoothed {self._smoothed:.4f})"
        if self._seen > _WARM_UP:
            seconds = (time.monotonic() - self._clock) / (self._seen - _WARM_UP)
            left = seconds * (self._steps - step)
            text += f", {self._batch_size / max(seconds, 1e-9):.1f} tracks/s, {_time(left)} left"
        return text


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
