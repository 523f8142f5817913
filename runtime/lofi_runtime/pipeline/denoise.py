"""The denoising loop, written once: the runtime runs it over ONNX, the engine over torch.

The loop knows nothing of the network. What conditions it is opaque: whatever the caller passes as
`conditional` and `guided` is handed back to `velocity` unchanged. So entropy-rectified guidance
needs nothing here: what weakens a row travels with that row's conditioning.

`denoise` makes a track from noise; `edit_latents` makes one from another's latents. Both are
`guided_prediction` (what the network says at an evaluation) walked along a scheduler by `walk`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from lofi_runtime.pipeline.costs import GUIDANCE_INTERVAL, guided_range
from lofi_runtime.pipeline.guidance import double_condition, make_guidance
from lofi_runtime.pipeline.noise import step_noise_of
from lofi_runtime.pipeline.schedulers import (
    OMEGA,
    SHIFT,
    TRAIN_TIMESTEPS,
    Scheduler,
    StepNoise,
    make_scheduler,
)

Floats = npt.NDArray[np.float32]
Prediction = Callable[[Floats, np.float32, int], Floats]
"""`predict(latents, timestep, index)` gives the velocity to move along at evaluation `index`."""
OnStep = Callable[[int, int], None]
"""`on_step(done, total)` is called before each evaluation; what it raises ends the run."""
Conditioning = TypeVar("Conditioning", contravariant=True)

_RANGES = {
    "guidance_scale": (0.0, 200.0),
    "guidance_interval": (0.0, 1.0),
    "guidance_decay": (0.0, 1.0),
    "min_guidance_scale": (0.0, 200.0),
    "text_scale": (0.0, 200.0),
    "lyric_scale": (0.0, 200.0),
    "omega": (-100.0, 100.0),
    "shift": (0.01, 100.0),
    "sigma_max": (1.0 / TRAIN_TIMESTEPS, 1.0),
}
"""What each number of `DenoiseSettings` may be: far wider than what sounds well."""


class Velocity(Protocol[Conditioning]):
    """A network: `velocity(latents, timestep, conditioning)`."""

    def __call__(self, latents: Floats, timestep: Floats, conditioning: Conditioning, /) -> Floats:
        """Predict the flow's velocity.

        Args:
            latents: float32 (rows, channels, height, frames).
            timestep: float32 (rows,), all equal, 0 to 1000.
            conditioning: what the caller of `denoise` passed; it has as many rows.

        Returns:
            float32, shaped like `latents`.
        """
        ...


@dataclass(frozen=True)
class DenoiseSettings:
    """How to denoise; the defaults are the reference's, with fewer steps.

    Args:
        inference_steps: of the scheduler; Heun evaluates the network almost twice as often.
        scheduler: "euler", "heun" or "pingpong".
        guidance: "apg", "cfg" or "cfg_star".
        guidance_scale: 0 or 1 turns guidance off.
        guidance_interval: the share of evaluations, in the middle, that is guided.
        guidance_decay: how far the scale falls towards `min_guidance_scale` over that interval.
        min_guidance_scale: see above; of no effect without decay.
        text_scale: above 1, together with `lyric_scale`, for double-condition guidance.
        lyric_scale: see above.
        omega: see `schedulers`.
        shift: the model's timestep shift.
        sigma_max: the share of the schedule that is walked, below 1 when the start is partly
            noised latents; `edit.AudioToAudio` sets it.

    Raises:
        ValueError: a number is out of its range, or none.
    """

    inference_steps: int = 27
    scheduler: str = "euler"
    guidance: str = "apg"
    guidance_scale: float = 15.0
    guidance_interval: float = GUIDANCE_INTERVAL
    guidance_decay: float = 0.0
    min_guidance_scale: float = 3.0
    text_scale: float = 0.0
    lyric_scale: float = 0.0
    omega: float = OMEGA
    shift: float = SHIFT
    sigma_max: float = 1.0

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:  # also when it is not a number
                raise ValueError(f"{name} is {value}, must be from {least:g} to {most:g}")

    @property
    def is_double(self) -> bool:
        """Whether text and lyrics are guided apart."""
        return self.text_scale > 1.0 and self.lyric_scale > 1.0

    @property
    def is_guided(self) -> bool:
        """Whether any evaluation needs the unconditional prediction."""
        return self.guidance_scale not in (0.0, 1.0) and bool(self.guided_steps)

    @property
    def guided_steps(self) -> range:
        """The evaluations, counted from 0, that are guided.

        Counted in scheduler steps, as the reference counts: with Heun, which evaluates almost
        twice as often, they lie in the first half of the run.
        """
        return guided_range(self.inference_steps, self.guidance_interval)

    def scale_at(self, index: int) -> float:
        """Give the guidance scale of the guided evaluation `index`."""
        guided = self.guided_steps
        if self.guidance_decay <= 0.0 or len(guided) < 2:
            return self.guidance_scale
        done = (index - guided.start) / (len(guided) - 1)
        fall = (self.guidance_scale - self.min_guidance_scale) * done * self.guidance_decay
        return self.guidance_scale - fall


def ignore_step(_done: int, _total: int) -> None:
    """Draw no progress."""


def denoise(
    velocity: Velocity[Conditioning],
    start: Floats,
    conditional: Conditioning,
    guided: Conditioning | None = None,
    *,
    settings: DenoiseSettings,
    seed: int = 0,
    step_noise: StepNoise | None = None,
    on_step: OnStep = ignore_step,
) -> Floats:
    """Run the whole denoising loop, from noise to latents.

    Args:
        velocity: the network. A guided evaluation is one call with the latents repeated: rows
            [conditional, unconditional] or, for double condition, [conditional, unconditional,
            text only], each of `len(start)` rows. Other evaluations use the conditional alone.
        start: float32 (batch, channels, height, frames), usually `starting_noise(seed, shape)`.
        conditional: conditioning of `len(start)` rows.
        guided: conditioning of the rows described above; None where nothing is guided.
        settings: how to denoise.
        seed: of what PingPong adds, unless `step_noise` is given.
        step_noise: `step_noise(index)` instead of noise from the seed.
        on_step: `on_step(done, total)` before each evaluation; what it raises (GenerationCancelled)
            ends the loop.

    Returns:
        float32 latents, shaped like `start`.

    Raises:
        ValueError: a setting is out of range, or guidance is on and `guided` is None.
    """
    scheduler = make_scheduler(
        settings.scheduler,
        settings.inference_steps,
        noise=step_noise or step_noise_of(seed, start.shape),
        omega=settings.omega,
        sigma_max=settings.sigma_max,
        shift=settings.shift,
    )
    predict = guided_prediction(velocity, conditional, guided, settings)
    return walk(scheduler, predict, start, on_step=on_step)


def walk(
    scheduler: Scheduler,
    predict: Prediction,
    start: Floats,
    *,
    first: int = 0,
    on_step: OnStep = ignore_step,
) -> Floats:
    """Move latents along a scheduler's whole schedule: the one loop of every run.

    Args:
        scheduler: fresh.
        predict: see `guided_prediction`.
        start: float32 latents at `scheduler.timesteps[first]`.
        first: the evaluation to begin with; those before it are not asked for.
        on_step: `total` is the number of evaluations from `first` on.

    Returns:
        float32 latents, shaped like `start`.
    """
    latents = np.asarray(start, dtype=np.float32)
    end = len(scheduler.timesteps)
    for index in range(first, end):
        on_step(index - first, end - first)
        predicted = predict(latents, scheduler.timesteps[index], index)
        latents = scheduler.step(index, predicted, latents)
    return latents


def guided_prediction(
    velocity: Velocity[Conditioning],
    conditional: Conditioning,
    guided: Conditioning | None,
    settings: DenoiseSettings,
) -> Prediction:
    """Make one run's prediction: the network under the settings' guidance, interval and decay.

    It counts evaluations from the schedule's beginning, also where a run begins later.

    Raises:
        ValueError: the guidance is unknown, or is on and `guided` is None.
    """
    if settings.is_guided and guided is None:
        raise ValueError(
            f"guidance scale {settings.guidance_scale} needs the guided conditioning; pass it, or"
            " a scale of 1"
        )
    guide = make_guidance(settings.guidance)
    branches = 3 if settings.is_double else 2

    def predict(latents: Floats, timestep: np.float32, index: int) -> Floats:
        rows = len(latents)
        if guided is None or not settings.is_guided or index not in settings.guided_steps:
            return velocity(latents, np.full(rows, timestep), conditional)
        stacked = np.concatenate([latents] * branches)
        predicted = velocity(stacked, np.full(len(stacked), timestep), guided)
        asked, empty, *text_only = np.split(predicted, branches)
        if text_only:
            return double_condition(
                asked, empty, text_only[0], settings.text_scale, settings.lyric_scale
            )
        return guide(asked, empty, settings.scale_at(index), index)

    return predict
