"""Clips in memory, for tests of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory

RATE = 48_000


def quiet(_done: int, _total: int, _name: str) -> None:
    """Take a report and say nothing."""


@cache
def synthesised(prompt: str, seed: int, duration_sec: float) -> Clip:
    """Render a track of known score; its prompt is what it was asked for."""
    from lofi_runtime.synth import compose, render

    score = compose(prompt, seed=seed, duration_sec=duration_sec)
    return Clip(f"track-{seed}", render(score), RATE, ClipFacts(prompt=prompt, seed=seed))


def noise_clips(label: str, count: int = 3, seconds: float = 1.0, seed: int = 0) -> ClipsInMemory:
    """Give clips of stereo noise, `noise-0` and so on."""
    rng = np.random.default_rng(seed)
    shape = (2, round(seconds * RATE))
    return ClipsInMemory(
        label,
        [
            Clip(f"noise-{n}", (0.1 * rng.standard_normal(shape)).astype(np.float32), RATE)
            for n in range(count)
        ],
    )


def changed(clips: ClipsInMemory, label: str, change) -> ClipsInMemory:
    """Give the same clips with other samples: `change(samples, clip's place)`."""
    return ClipsInMemory(
        label,
        [
            replace(clips.clip(name), samples=change(clips.clip(name).samples, place))
            for place, name in enumerate(clips.names)
        ],
    )


def with_latents(label: str, latents: Mapping[str, np.ndarray | None]) -> ClipsInMemory:
    """Give clips of one second of noise with these latents."""
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal((2, RATE))).astype(np.float32)
    return ClipsInMemory(
        label, [Clip(name, samples, RATE, latents=one) for name, one in latents.items()]
    )
