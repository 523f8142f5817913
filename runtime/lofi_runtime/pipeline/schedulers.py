"""Flow-matching schedulers: which timesteps a network is asked at, and how latents move.

Latents run from noise (sigma 1) to music (sigma 0) along `dx/dsigma = velocity`. The schedule is
ACE-Step v1's: sigmas evenly spaced between the ends of a shifted grid of 1000 training timesteps,
shifted once more (shift s maps sigma to `s sigma / (1 + (s - 1) sigma)`), and a final 0.

`omega` scales a step's deviation from its own mean: with w = 0.9 + 0.2 / (1 + exp(-omega / 10)) a
step d becomes `(d - mean(d)) w + mean(d)`; omega 0 changes nothing. PingPong has no use for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
StepNoise = Callable[[int], Floats]
"""`noise(step)` gives standard normal values shaped like the latents, for a stochastic step."""

TRAIN_TIMESTEPS = 1000
SHIFT = 3.0
OMEGA = 10.0


class Scheduler(Protocol):
    """One run's schedule; Heun keeps state between steps, so make one for each run.

    Attributes:
        timesteps: (evaluations,) float32, 1000 sigma: what the network is told.
        sigmas: (evaluations + 1,) float32, ending in 0.
    """

    timesteps: Floats
    sigmas: Floats

    def step(self, index: int, velocity: Floats, latents: Floats) -> Floats:
        """Move latents (batch, ...) along the velocity found at `timesteps[index]`.

        Call with index 0, 1, 2, ... in order.
        """
        ...


class Euler:
    """First order: one evaluation a step."""

    def __init__(self, sigmas: Floats, omega: float = OMEGA) -> None:
        self.sigmas = np.append(sigmas, np.float32(0.0))
        self.timesteps = sigmas * np.float32(TRAIN_TIMESTEPS)
        self._gain = _omega_gain(omega)

    def step(self, index: int, velocity: Floats, latents: Floats) -> Floats:
        """Move by `(sigma_next - sigma) velocity`."""
        change = self.sigmas[index + 1] - self.sigmas[index]
        return latents + _scale_deviation(change * velocity, self._gain)


class Heun:
    """Second order: every step but the last is taken twice, `2 steps - 1` evaluations in all."""

    def __init__(self, sigmas: Floats, omega: float = OMEGA) -> None:
        inner = np.repeat(np.append(sigmas, np.float32(0.0))[1:-1], 2)
        self.sigmas = np.concatenate([sigmas[:1], inner, np.zeros(1, np.float32)])
        self.timesteps = self.sigmas[:-1] * np.float32(TRAIN_TIMESTEPS)
        self._gain = _omega_gain(omega)
        self._begun: tuple[Floats, Floats] | None = None

    def step(self, index: int, velocity: Floats, latents: Floats) -> Floats:
        """Take a step as Euler would (even index), or retake it with the mean slope (odd)."""
        if self._begun is None:
            change = self.sigmas[index + 1] - self.sigmas[index]
            self._begun = (latents, velocity)
        else:
            change = self.sigmas[index] - self.sigmas[index - 1]
            latents, first = self._begun
            velocity = np.float32(0.5) * (first + velocity)
            self._begun = None
        return latents + _scale_deviation(change * velocity, self._gain)


class PingPong:
    """Stochastic: jump to the clean estimate, then add fresh noise down to the next sigma."""

    def __init__(self, sigmas: Floats, noise: StepNoise) -> None:
        self.sigmas = np.append(sigmas, np.float32(0.0))
        self.timesteps = sigmas * np.float32(TRAIN_TIMESTEPS)
        self._noise = noise

    def step(self, index: int, velocity: Floats, latents: Floats) -> Floats:
        """Give `(1 - sigma_next) clean + sigma_next noise`."""
        sigma, sigma_next = self.sigmas[index], self.sigmas[index + 1]
        clean: Floats = latents - sigma * velocity
        if sigma_next > 0.0:
            clean = (np.float32(1.0) - sigma_next) * clean + sigma_next * self._noise(index)
        return clean


SCHEDULERS = ("euler", "heun", "pingpong")


def make_scheduler(
    name: str,
    steps: int,
    *,
    noise: StepNoise,
    omega: float = OMEGA,
    sigma_max: float = 1.0,
    shift: float = SHIFT,
) -> Scheduler:
    """Make the scheduler `name` for one run of `steps` steps.

    Args:
        name: "euler", "heun" or "pingpong".
        steps: at least 1.
        noise: what PingPong adds; the others never call it.
        omega: 0 leaves steps as they are; the reference uses 10.
        sigma_max: below 1 to begin from partly noised latents (audio to audio).
        shift: the model's timestep shift.

    Raises:
        ValueError: the name is unknown or `steps` below 1.
    """
    sigmas = flow_sigmas(steps, sigma_max=sigma_max, shift=shift)
    if name == "euler":
        return Euler(sigmas, omega)
    if name == "heun":
        return Heun(sigmas, omega)
    if name == "pingpong":
        return PingPong(sigmas, noise)
    raise ValueError(f"scheduler is '{name}', must be one of {', '.join(SCHEDULERS)}")


def flow_sigmas(steps: int, *, sigma_max: float = 1.0, shift: float = SHIFT) -> Floats:
    """Give the (steps,) float32 sigmas a run begins each step at, largest first, without the 0.

    Raises:
        ValueError: `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"inference_steps is {steps}, must be at least 1")
    largest = shifted(sigma_max, shift)
    smallest = shifted(1.0 / TRAIN_TIMESTEPS, shift)
    even = np.linspace(float(largest), float(smallest), steps)
    return np.asarray(shift * even / (1.0 + (shift - 1.0) * even), dtype=np.float32)


def shifted(sigma: float, shift: float) -> np.float32:
    """Shift a sigma once: `shift sigma / (1 + (shift - 1) sigma)`, in float32."""
    plain = np.float32(sigma)
    return np.float32(shift) * plain / (np.float32(1.0) + np.float32(shift - 1.0) * plain)


def _omega_gain(omega: float) -> np.float32:
    return np.float32(0.9 + 0.2 / (1.0 + math.exp(-0.1 * omega)))


def _scale_deviation(step: Floats, gain: np.float32) -> Floats:
    """Scale each row's deviation from its own mean (the reference takes a batch's one mean)."""
    mean = step.mean(axis=tuple(range(1, step.ndim)), keepdims=True, dtype=np.float64)
    mean32 = mean.astype(np.float32)
    scaled: Floats = (step - mean32) * gain + mean32
    return scaled
