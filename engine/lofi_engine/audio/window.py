"""Chooses which part of a long track to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.audio.levels import FLOOR_DBFS, frame_levels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WINDOWS = ("start", "best")
"""What `dataset.quality.window` may say."""

STEP_SEC = 1.0
_STEADINESS_WEIGHS = 2.0
_QUIETEST_DBFS = -60.0
_ALIKE_DB = 0.1


class LevelMeter:
    """Takes a track block by block and keeps one level a second of it."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._step = round(STEP_SEC * sample_rate)
        self._left: list[npt.NDArray[np.float32]] = []
        self._waiting = 0
        self._levels: list[float] = []

    def take(self, block: npt.NDArray[np.float32]) -> None:
        """Take (samples, channels)."""
        import numpy as np

        self._left.append(block)
        self._waiting += len(block)
        if self._waiting < self._step:
            return
        joined = np.concatenate(self._left)
        whole = len(joined) // self._step * self._step
        self._levels.extend(frame_levels(joined[:whole].T, self._rate, STEP_SEC).tolist())
        self._left, self._waiting = [joined[whole:]], len(joined) - whole

    def best_start(self, keep_sec: float) -> float:
        """Choose the second at which `keep_sec` of loud and steady sound begin.

        The mean level of its seconds less twice their standard deviation, in dB, is largest there;
        seconds under -60 dBFS count as that. So intros, breaks and fades stay outside where the
        rest is long enough. The earliest of those within a tenth of a dB.
        """
        import numpy as np

        seconds = max(1, round(keep_sec / STEP_SEC))
        levels = np.maximum(np.asarray(self._levels or [FLOOR_DBFS]), _QUIETEST_DBFS)
        if len(levels) <= seconds:
            return 0.0
        windows = np.lib.stride_tricks.sliding_window_view(levels, seconds)
        worth = windows.mean(axis=1) - _STEADINESS_WEIGHS * windows.std(axis=1)
        return float(np.argmax(worth >= worth.max() - _ALIKE_DB)) * STEP_SEC
