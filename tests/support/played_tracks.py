"""Short tracks in a store, made at once, for tests of playing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from lofi_runtime.track import TrackSpec
from lofi_runtime.tracks import TrackStore


def noise(seed: int, frames: int, level: float = 0.5) -> npt.NDArray[np.float32]:
    """Give samples of which no two are alike, (frames, 2)."""
    values = np.random.default_rng(seed).uniform(-level, level, (frames, 2))
    return values.astype(np.float32)


def write_noise(path: Path, seed: int, frames: int) -> npt.NDArray[np.float32]:
    """Write noise as floating point, and give it."""
    samples = noise(seed, frames)
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    return samples


def keep_track(folder: Path, seed: int, duration_sec: float, prompt: str = "slow tune") -> str:
    """Put a track into the store of that folder; gives its id."""
    store = TrackStore(folder)
    spec = TrackSpec(
        prompt=prompt, duration_sec=5, seed=seed, lyrics="", style="", backend="procedural",
        model_version="stand-in 1",
    )  # fmt: skip
    part = store.part_path(spec.track_id)
    samples = noise(seed, round(duration_sec * 48_000), 0.1)
    soundfile.write(part, samples, 48_000, format="WAV")
    store.keep(spec, part, duration_sec=duration_sec, generation_time_sec=0.1, warnings=[])
    return spec.track_id
