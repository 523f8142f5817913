"""Editing: from a source's latents and noise to a new track's latents.

Every edit walks the loop of `denoise` over the same `velocity`, with the same guidance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lofi_runtime.pipeline.denoise import (
    Conditioning,
    DenoiseSettings,
    Floats,
    OnStep,
    Prediction,
    Velocity,
    denoise,
    guided_prediction,
    ignore_step,
    walk,
)
from lofi_runtime.pipeline.edit import (
    MAX_FRAMES,
    AudioToAudio,
    Edit,
    Extend,
    Repaint,
    Retake,
    fit_edit,
    new_frames,
)
from lofi_runtime.pipeline.noise import EDIT_STREAM, starting_noise
from lofi_runtime.pipeline.repaint import Canvas, Repainting, window_around
from lofi_runtime.pipeline.schedulers import (
    TRAIN_TIMESTEPS,
    StepNoise,
    flow_sigmas,
    shifted,
)


@dataclass(frozen=True)
class EditNoise:
    """What is random in an edit; `edit_noise` draws it from seeds.

    Args:
        start: standard normal float32, shaped like the source.
        second: the same for `second_shape`; None where that is None.
        step_seed: of what PingPong adds at each step.
    """

    start: Floats
    second: Floats | None = None
    step_seed: int = 0


def second_shape(edit: Edit, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Give the shape of an edit's second noise beside a source of `shape`.

    It is the source's, but longer where an extension is longer than the source: new frames on the
    left are its first ones, on the right its last, and no frame is used twice.
    """
    if isinstance(edit, AudioToAudio):
        return None
    frames = shape[-1]
    if isinstance(edit, Extend):
        frames = max(frames, edit.left_frames + edit.right_frames)
    return (*shape[:-1], frames)


def edit_noise(
    edit: Edit, shape: tuple[int, ...], *, seed: int, source_seed: int | None = None
) -> EditNoise:
    """Draw an edit's noise; `noise` says from which streams.

    Args:
        edit: what is asked.
        shape: of the source, (1, channels, height, frames).
        seed: the edit's own: another one gives another result.
        source_seed: what the source was made from; None (it was not) stands for `seed`.

    Raises:
        ValueError: a seed is out of range.
    """
    second = second_shape(edit, shape)
    if second is None:
        return EditNoise(starting_noise(seed, shape), step_seed=seed)
    start_seed = seed if source_seed is None else source_seed
    return EditNoise(
        starting_noise(start_seed, shape),
        starting_noise(seed, second, stream=EDIT_STREAM),
        # So that a retake with a variance of 0 makes the same track again.
        step_seed=start_seed,
    )


def edit_latents(
    velocity: Velocity[Conditioning],
    edit: Edit,
    source: Floats,
    noise: EditNoise,
    conditional: Conditioning,
    guided: Conditioning | None = None,
    *,
    settings: DenoiseSettings,
    step_noise: StepNoise | None = None,
    max_frames: int = MAX_FRAMES,
    on_step: OnStep = ignore_step,
) -> Floats:
    """Edit latents: from a source and noise to the new track's latents.

    Args:
        velocity: the network, see `denoise`.
        edit: what is asked.
        source: float32 (batch, channels, height, frames); a `Retake` needs its shape alone.
        noise: see `edit_noise`.
        conditional: conditioning of as many rows as the source has.
        guided: see `denoise`.
        settings: how to denoise; `sigma_max` is not used, nor are `scheduler` and `omega` in a
            repaint or an extension.
        step_noise: `step_noise(index)` instead of noise from `noise.step_seed`.
        max_frames: what the network takes at once.
        on_step: `on_step(done, total)` before each evaluation; what it raises (GenerationCancelled)
            ends the edit. Not called where the source comes back as it is.

    Returns:
        float32 latents, shaped like `source` but longer by an extension's frames. Frames an edit
        keeps are the source's own, bit for bit.

    Raises:
        ValueError: the edit does not fit the source (`fit_edit`), the source is not finite, an
            array is not of the right shape, a setting is out of range, or guidance is on and
            `guided` is None.
    """
    source = np.asarray(source, dtype=np.float32)
    _check_arrays(edit, source, noise)
    edit = fit_edit(edit, source.shape[-1], max_frames=max_frames)
    settings = replace(settings, sigma_max=1.0)
    if isinstance(edit, Repaint | Extend):
        predict = guided_prediction(velocity, conditional, guided, settings)
        return _repaint(edit, source, noise, predict, settings, max_frames, on_step)
    if isinstance(edit, Retake):
        start = _mixed(noise, edit.variance)
    elif 1.0 - edit.strength < 1.0 / TRAIN_TIMESTEPS:
        return source.copy()
    else:
        start, settings = _noised_source(source, noise.start, edit.strength, settings)
    return denoise(
        velocity,
        start,
        conditional,
        guided,
        settings=settings,
        seed=noise.step_seed,
        step_noise=step_noise,
        on_step=on_step,
    )


def _check_arrays(edit: Edit, source: Floats, noise: EditNoise) -> None:
    if source.ndim != 4:
        raise ValueError(
            f"the source latents have shape {source.shape}, must be (batch, channels, height,"
            " frames)"
        )
    shapes = {"start": source.shape, "second": second_shape(edit, source.shape)}
    for name, shape in shapes.items():
        given: Floats | None = getattr(noise, name)
        if shape is not None and (given is None or given.shape != shape):
            found = "missing" if given is None else f"of shape {given.shape}"
            raise ValueError(
                f"the {name} noise is {found}; a source of shape {source.shape} needs {shape}"
            )
    wrong = source.size - int(np.isfinite(source).sum())
    if wrong:
        raise ValueError(f"the source latents hold {wrong} values that are not finite")


def _mixed(noise: EditNoise, variance: float) -> Floats:
    """Turn the first noise towards the second; the variance stays 1."""
    angle = variance * math.pi / 2.0
    mixed: Floats = np.float32(math.cos(angle)) * noise.start
    if noise.second is not None:
        mixed = mixed + np.float32(math.sin(angle)) * noise.second
    return mixed


def _noised_source(
    source: Floats, noise: Floats, strength: float, settings: DenoiseSettings
) -> tuple[Floats, DenoiseSettings]:
    """Give where audio to audio starts, and the settings of the steps that are left.

    The source is noised to a sigma shifted once, as in the reference, though the schedule begins at
    one shifted twice.
    """
    share = 1.0 - strength
    sigma = shifted(share, settings.shift)
    steps = min(settings.inference_steps, max(1, int(share * settings.inference_steps)))
    start: Floats = (np.float32(1.0) - sigma) * source + sigma * noise
    return start, replace(settings, inference_steps=steps, sigma_max=share)


def _repaint(
    edit: Repaint | Extend,
    source: Floats,
    noise: EditNoise,
    predict: Prediction,
    settings: DenoiseSettings,
    max_frames: int,
    on_step: OnStep,
) -> Floats:
    """Make the new frames of a repaint or an extension, in the window the network can see."""
    steps = settings.inference_steps
    sigmas = flow_sigmas(steps, shift=settings.shift)
    first = int(steps * (1.0 - edit.variance)) if isinstance(edit, Repaint) else 0
    whole = _canvas(edit, source, noise)
    if first == steps:
        return whole.source
    window = window_around(*new_frames(edit, source.shape[-1]), max_frames)
    canvas = whole.cut(window)
    start = canvas.noised(sigmas[first])
    made = walk(Repainting(sigmas, canvas), predict, start, first=first, on_step=on_step)
    whole.source[..., window] = made
    return whole.source


def _canvas(edit: Repaint | Extend, source: Floats, noise: EditNoise) -> Canvas:
    """Lay out source, noise and new frames over the result's frames; shares no memory with them."""
    start, end, total = new_frames(edit, source.shape[-1])
    is_new = np.zeros(total, bool)
    if isinstance(edit, Repaint):
        is_new[start:end] = True
        return Canvas(
            source.copy(), np.where(is_new, _mixed(noise, edit.variance), noise.start), is_new
        )
    left, right = edit.left_frames, edit.right_frames
    is_new[:left] = is_new[total - right :] = True
    padded = np.pad(source, [(0, 0)] * 3 + [(left, right)])
    laid = np.pad(noise.start, [(0, 0)] * 3 + [(left, right)])
    if noise.second is not None:
        laid[..., :left] = noise.second[..., :left]
        laid[..., total - right :] = noise.second[..., noise.second.shape[-1] - right :]
    return Canvas(padded, laid, is_new)
