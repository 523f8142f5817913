"""What a backend is: it turns a request into sound. The worker loads one and asks it.

Two exist: `procedural` (lofi_runtime.synth, needs no model) and `ace_step`
(lofi_runtime.ace_step, needs a bundle).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
"""Every backend answers at this rate, in stereo."""

Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`, called before each step.

Raises GenerationCancelled when the user has asked to stop; a backend lets it pass.
"""


@dataclass(frozen=True)
class Request:
    """Everything that shapes the sound, already checked against the limits.

    Args:
        prompt: tags or plain words, 1 to 1000 bytes of UTF-8.
        duration_sec: whole seconds wanted; the answer has exactly this length.
        seed: 0 to 2**53 - 1.
        lyrics: "" or "[Instrumental]" for none.
        style: a style id ("SEASON-06") or "".
        inference_steps: denoising steps, 1 to 200; ignored by the procedural backend.
        scheduler: "euler", "heun" or "pingpong".
        guidance_scale: 1 to 30.
        edit: what to make of which other track: `mode`, that mode's fields, `source_seed`,
            `source_sec` and `latents`, the path of the source's, see `edits`; None for a new track.
    """

    prompt: str
    duration_sec: int
    seed: int
    lyrics: str = ""
    style: str = ""
    inference_steps: int = 27
    scheduler: str = "euler"
    guidance_scale: float = 15.0
    edit: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Audio:
    """A finished sound.

    Args:
        samples: float32 (2, samples) at `SAMPLE_RATE`, mastered, within -1 to 1, no NaN.
        warnings: what a listener should know ("lyrics ignored").
        latents: float32 (1, channels, height, frames) it was decoded from, for edits to start from;
            None where there are none.
    """

    samples: npt.NDArray[np.float32]
    warnings: tuple[str, ...] = ()
    latents: npt.NDArray[np.float32] | None = None


class Backend(Protocol):
    """A source of sound."""

    type: str
    """The name clients use: "procedural" or "ace_step"."""
    name: str
    """For a human."""
    model_version: str
    """What a track's id and sidecar record, e.g. "lofi-nano-int8 1.0.0"."""
    min_duration_sec: int
    max_duration_sec: int

    @property
    def device(self) -> str:
        """What it computes on: one of `devices.DEVICES` but "auto"."""
        ...

    def generate(self, request: Request, progress: Progress) -> Audio:
        """Make the sound; the same request gives the same samples on the same machine.

        Raises:
            BackendError: the model could not be run.
            GenerationCancelled: `progress` said so.
        """
        ...
