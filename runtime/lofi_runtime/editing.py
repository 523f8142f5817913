"""Edits in a backend: from a request's `edit` map to frames, and the latents it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lofi_runtime.edits import AUDIO_TO_AUDIO, EXTEND, REPAINT, RETAKE
from lofi_runtime.errors import BackendError
from lofi_runtime.latents_file import read_latents
from lofi_runtime.manifest import PipelineConfig
from lofi_runtime.pipeline.edit import AudioToAudio, Edit, Extend, Repaint, Retake, frame_of

Floats = npt.NDArray[np.float32]


def read_source(record: Mapping[str, Any], config: PipelineConfig) -> Floats:
    """Read the latents of an edit's source; zeros for a retake, which needs their shape alone.

    Args:
        record: `Request.edit`.
        config: of the bundle that edits.

    Returns:
        float32 (1, channels, height, frames).

    Raises:
        BackendError: they are gone, or not this model's.
    """
    frames = config.frames(record["source_sec"])
    shape = (1, config.latent_channels, config.latent_height, frames)
    if record["mode"] == RETAKE:
        return np.zeros(shape, np.float32)
    return read_latents(Path(record["latents"]), shape)


def edit_in_frames(record: Mapping[str, Any], duration_sec: int, config: PipelineConfig) -> Edit:
    """Turn an edit's seconds into latent frames.

    The result has at least as many frames as a track of `duration_sec` needs, so that nothing is
    missing at its end.

    Args:
        record: `Request.edit`.
        duration_sec: of the edited track.
        config: of the bundle that edits.

    Raises:
        BackendError: the mode is unknown.
    """
    frames = config.frames(record["source_sec"])
    match record["mode"]:
        case "retake":
            return Retake(record["variance"])
        case "audio2audio":
            return AudioToAudio(record["strength"])
        case "repaint":
            start = min(_frame(record["start_sec"], config), frames - 1)
            is_to_the_end = record["end_sec"] >= record["source_sec"]
            end = frames if is_to_the_end else max(_frame(record["end_sec"], config), start + 1)
            return Repaint(start, min(end, frames), record["variance"])
        case "extend":
            added = config.frames(duration_sec) - frames
            left = _frame(record["left_sec"], config) if record["right_sec"] else added
            return Extend(left, added - left)
    modes = ", ".join((RETAKE, REPAINT, EXTEND, AUDIO_TO_AUDIO))
    raise BackendError(f"edit: mode {record['mode']!r} is not one of {modes}")


def _frame(seconds: float, config: PipelineConfig) -> int:
    return frame_of(
        seconds,
        sample_rate=config.sample_rate,
        samples_per_latent=config.samples_per_latent,
    )
