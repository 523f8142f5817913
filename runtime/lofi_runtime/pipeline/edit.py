"""Edits: latents made from another track's latents, as ACE-Step v1 makes them.

| edit | starts from | of the source it keeps |
|---|---|---|
| `Retake` | its noise, turned towards a second one | that noise; its latents are not used |
| `Repaint` | the source, noised with that mixture inside a range | every frame outside the range |
| `Extend` | the source and, beside it, frames of the second noise | every frame |
| `AudioToAudio` | the source, partly noised | its rough shape |

What may be asked is here, and whether it can be had; `edit_latents` does it. Positions are latent
frames; `frame_of` turns seconds into them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lofi_runtime.pipeline.repaint import window_around

MAX_FRAMES = 2584
"""240 s of 44.1 kHz sound in frames of 4096 samples, rounded up: what the model takes at once."""


@dataclass(frozen=True)
class Retake:
    """Make a track again, a little or quite differently.

    Args:
        variance: the angle between the two noises, in right angles. 0 makes the same track again,
            1 starts from the second noise alone.

    Raises:
        ValueError: the variance is outside 0 to 1.
    """

    variance: float = 0.5

    def __post_init__(self) -> None:
        _check_share("variance", self.variance)


@dataclass(frozen=True)
class Repaint:
    """Make the frames [start_frame, end_frame) anew, in the context of the others.

    A range of the whole source leaves no context and is a `Retake`, as in the reference.

    Args:
        start_frame: the first new frame, from 0.
        end_frame: the frame after the last new one.
        variance: the angle between the two noises inside the range, as in `Retake`, and the share
            of the schedule that is walked: of n steps the first `int(n (1 - variance))` are left
            out. 0 gives the source back, 1 owes nothing to what was in the range.

    Raises:
        ValueError: the range is empty or begins below 0, or the variance is outside 0 to 1.
    """

    start_frame: int
    end_frame: int
    variance: float = 0.5

    def __post_init__(self) -> None:
        _check_share("variance", self.variance)
        if self.start_frame < 0:
            raise ValueError(f"start_frame is {self.start_frame}, must be at least 0")
        if self.end_frame <= self.start_frame:
            raise ValueError(
                f"the range {self.start_frame} to {self.end_frame} is empty: end_frame must be"
                " above start_frame"
            )


@dataclass(frozen=True)
class Extend:
    """Compose new frames before the source, after it, or both at once.

    The model takes `MAX_FRAMES` at once. Where the result is longer, it sees that many frames: the
    new ones and as much of the source as fits; the source's far end is joined on unchanged. (The
    reference means to do so too, but joins the wrong frames on the right and fails on the left.)

    Args:
        left_frames: how many before.
        right_frames: how many after.

    Raises:
        ValueError: a number is below 0, or both are 0.
    """

    left_frames: int = 0
    right_frames: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise ValueError(f"{name} is {value}, must be at least 0")
        if not (self.left_frames or self.right_frames):
            raise ValueError("left_frames and right_frames are both 0: nothing to extend by")


@dataclass(frozen=True)
class AudioToAudio:
    """Make a track after the rough shape of the source.

    Args:
        strength: how much of the source is kept. Of n steps `int(n (1 - strength))` are walked, one
            at least. 0 starts from noise alone, as if there were no source; from 0.999 on nothing
            is left to walk and the source comes back.

    Raises:
        ValueError: the strength is outside 0 to 1.
    """

    strength: float = 0.5

    def __post_init__(self) -> None:
        _check_share("strength", self.strength)


Edit = Retake | Repaint | Extend | AudioToAudio


def frame_of(seconds: float, *, sample_rate: int = 44_100, samples_per_latent: int = 4096) -> int:
    """Turn seconds into frames as the reference does: towards zero.

    Raises:
        ValueError: `seconds` is not finite.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"a position of {seconds} seconds is no position")
    return int(seconds * sample_rate / samples_per_latent)


def new_frames(edit: Repaint | Extend, frames: int) -> tuple[int, int, int]:
    """Give the range that is made anew and the frames of the result: (start, end, total)."""
    if isinstance(edit, Repaint):
        return edit.start_frame, edit.end_frame, frames
    total = edit.left_frames + frames + edit.right_frames
    start = 0 if edit.left_frames else total - edit.right_frames
    end = total if edit.right_frames else edit.left_frames
    return start, end, total


def fit_edit(edit: Edit, frames: int, *, max_frames: int = MAX_FRAMES) -> Edit:
    """Check an edit of a source of `frames` frames; `edit_latents` does it too.

    Returns:
        The edit to make: a `Repaint` of the whole source has become a `Retake`.

    Raises:
        ValueError: a range goes beyond the source, or the model cannot take so many frames; names
            the values.
    """
    if isinstance(edit, Repaint) and edit.end_frame > frames:
        raise ValueError(
            f"the range {edit.start_frame} to {edit.end_frame} goes beyond the source's {frames}"
            " frames"
        )
    if isinstance(edit, Repaint) and (edit.start_frame, edit.end_frame) == (0, frames):
        edit = Retake(edit.variance)
    if isinstance(edit, Repaint | Extend):
        window_around(*new_frames(edit, frames), max_frames)
    elif frames > max_frames:
        raise ValueError(f"the source has {frames} frames, the model takes {max_frames} at once")
    return edit


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}, must be from 0 to 1")
