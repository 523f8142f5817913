"""The line a human reads while training: loss, rate, gradient, speed, memory, time left."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.training.report import StepReport

if TYPE_CHECKING:
    import torch

_WARM_UP = 3
_SMOOTHING = 0.95
_TIMED_STEPS = 100
_STATM = Path("/proc/self/statm")


class SmoothedLoss:
    """An exponential mean of the loss: single ones jump with the noise level drawn.

    Args:
        losses: of the steps already taken, so that a resumed training goes on where it was.
    """

    def __init__(self, losses: Iterable[float] = ()) -> None:
        self._value: float | None = None
        for loss in losses:
            self.take(loss)

    def take(self, loss: float) -> float:
        """Take a step's loss and give the mean so far."""
        before = loss if self._value is None else self._value
        self._value = _SMOOTHING * before + (1 - _SMOOTHING) * loss
        return self._value


class ProgressLine:
    """Writes one line a step; the first steps after a start are not timed.

    Speed and time left count the last hundred steps, so they follow what the machine does now.

    Args:
        steps: how many there will be.
        memory_bytes: asked after every step.
    """

    def __init__(self, steps: int, memory_bytes: Callable[[], int]) -> None:
        self._steps = steps
        self._memory_bytes = memory_bytes
        self._seen = 0
        self._left_out = 0.0
        self._clocks: deque[float] = deque(maxlen=_TIMED_STEPS + 1)

    def write(self, said: StepReport, smoothed: float) -> str:
        """Give the line after a step.

        Args:
            said: of the step, over all processes: its windows are the tracks that all of them saw.
            smoothed: the loss as `SmoothedLoss` has it.
        """
        self._seen += 1
        if self._seen >= _WARM_UP:
            self._clocks.append(time.monotonic() - self._left_out)
        parts = [
            f"loss {said.loss:.4f} (smoothed {smoothed:.4f})",
            f"lr {said.learning_rate:.2e}",
            f"grad {said.gradient_norm:.3g}",
        ]
        memory = f"memory {_size(self._memory_bytes())}"
        if len(self._clocks) < 2:
            return ", ".join([*parts, memory])
        seconds = (self._clocks[-1] - self._clocks[0]) / (len(self._clocks) - 1)
        speed = f"{len(said.windows) / max(seconds, 1e-9):.3g} tracks/s"
        left = f"{_time(seconds * (self._steps - said.step))} left"
        return ", ".join([*parts, speed, memory, left])

    def leave_out(self, seconds: float) -> None:
        """Leave out time that went into something else than steps, such as rendering samples."""
        self._left_out += seconds


def held_memory(device: torch.device) -> Callable[[], int]:
    """Give what measures a training's memory: CUDA's tensors, else what the process holds."""
    if device.type != "cuda":
        return resident_bytes
    import torch

    return lambda: int(torch.cuda.memory_allocated(device))


def resident_bytes() -> int:
    """Give the memory this process holds now; 0 where the system does not say."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
