"""Repainting: new frames among a source's frames, which come back as they were.

ACE-Step's repaint and extension: every step is plain Euler (no omega, no second order, whatever the
scheduler), and after each the frames that are kept are set to the source, noised to where the new
frames are. So the network always sees one coherent track, and at the end, without noise, the kept
frames are the source's own.

With Heun the reference walks Heun's doubled schedule so: it asks twice at each sigma, moves once,
and leaves out about half as much of a repaint's beginning. Here every scheduler repaints alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lofi_runtime.pipeline.schedulers import TRAIN_TIMESTEPS, Floats


@dataclass(frozen=True)
class Canvas:
    """What is repainted.

    Args:
        source: (batch, channels, height, frames) float32; zeros where there is none yet.
        noise: the same shape: what the source and the new frames are noised with.
        is_new: (frames,) bool, True where new frames come.
    """

    source: Floats
    noise: Floats
    is_new: npt.NDArray[np.bool_]

    def cut(self, window: slice) -> Canvas:
        """Give the frames of `window` alone."""
        return Canvas(self.source[..., window], self.noise[..., window], self.is_new[window])

    def noised(self, sigma: np.float32) -> Floats:
        """Give `(1 - sigma) source + sigma noise`; exactly the source for a sigma of 0."""
        mixed: Floats = (np.float32(1.0) - sigma) * self.source + sigma * self.noise
        return mixed


class Repainting:
    """A canvas's schedule, see `schedulers.Scheduler`.

    Args:
        sigmas: (evaluations,) float32, see `schedulers.flow_sigmas`.
        canvas: what is repainted.
    """

    def __init__(self, sigmas: Floats, canvas: Canvas) -> None:
        self.sigmas = np.append(sigmas, np.float32(0.0))
        self.timesteps = sigmas * np.float32(TRAIN_TIMESTEPS)
        self._canvas = canvas

    def step(self, index: int, velocity: Floats, latents: Floats) -> Floats:
        """Move the new frames by `(sigma_next - sigma) velocity`; put the source elsewhere."""
        sigma_next = self.sigmas[index + 1]
        moved = latents + (sigma_next - self.sigmas[index]) * velocity
        return np.where(self._canvas.is_new, moved, self._canvas.noised(sigma_next))


def window_around(start_frame: int, end_frame: int, frames: int, max_frames: int) -> slice:
    """Choose the frames a network sees of a track that may be too long for it.

    Gives all of `frames` where they are no more than `max_frames`; else that many, with as much of
    the track before as after the new frames [start_frame, end_frame), as far as there is any.

    Raises:
        ValueError: the new frames leave no room for any other.
    """
    if frames <= max_frames:
        return slice(0, frames)
    if end_frame - start_frame >= max_frames:
        raise ValueError(
            f"new frames {start_frame} to {end_frame} of {frames} span"
            f" {end_frame - start_frame} frames; of a track above {max_frames} frames, fewer than"
            " that can be made at once, so that some of the source stays in sight: make fewer, or"
            " extend one side at a time"
        )
    middle = (start_frame + end_frame - max_frames) // 2
    first = min(max(middle, 0), frames - max_frames)
    return slice(first, first + max_frames)
