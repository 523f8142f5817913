"""Gains over time: what keeps playing free of clicks.

Every gain is a function of the frame's number alone, so that reading in pieces of any size gives
the same samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Gains = npt.NDArray[np.float32]


def volume_gain(level: float) -> float:
    """Turn a volume of 0 to 1 into a factor for samples: its cube.

    Loudness follows the logarithm of the amplitude; the cube keeps equal steps of the level about
    equally far apart down to -60 dB (0.5 is -18 dB, 0.1 is -60 dB), and its zero is silent. It is
    the curve PulseAudio and PipeWire use.
    """
    return level**3


class Fade:
    """One half of an equal-power crossfade: a quarter of a sine.

    With both halves the powers add up to one at every frame, which keeps two pieces that have
    nothing to do with each other equally loud throughout.

    Args:
        frames: how long, at least 1.
        rising: from silence to full, else from full to silence.
    """

    def __init__(self, frames: int, *, rising: bool) -> None:
        self._frames = frames
        self._wave = np.sin if rising else np.cos
        self._done = 0

    @property
    def left(self) -> int:
        """How many frames until it is over."""
        return self._frames - self._done

    def gains(self, frames: int) -> Gains:
        """Give the next gains, (frames,); at most `left`."""
        at = np.arange(self._done, self._done + frames)
        self._done += frames
        gains: Gains = self._wave(at * (np.pi / 2 / self._frames)).astype(np.float32)
        return gains


class Ramp:
    """A gain that goes to each new value in a straight line.

    Args:
        value: where it begins.
    """

    def __init__(self, value: float) -> None:
        self.target = value
        self._start = value
        self._frames = 0
        self._done = 0

    @property
    def left(self) -> int:
        """How many frames until it is where it goes."""
        return self._frames - self._done

    @property
    def value(self) -> float:
        """The gain just now."""
        if not self.left:
            return self.target
        return self._start + (self.target - self._start) * self._done / self._frames

    def go(self, target: float, frames: int) -> None:
        """Head for another value from wherever it is; 0 frames is at once."""
        self._start, self.target = self.value, target
        self._frames, self._done = frames, 0

    def gains(self, frames: int) -> Gains | np.float32:
        """Give the next gains, (frames,), or one for them all; at most `left` unless that is 0."""
        if not self.left:
            return np.float32(self.target)
        at = np.arange(self._done + 1, self._done + frames + 1)
        self._done += frames
        gains = self._start + (self.target - self._start) * (at / self._frames)
        return gains.astype(np.float32)
