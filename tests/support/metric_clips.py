"""Clips, vectors and an embedding whose figures can be known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.embedded import EmbeddedSet

RATE = 8_000


def silent_report(done, of, name):
    """Take a report and say nothing."""


def noise_clip(name="rain", seed=0, *, duration_sec=6.0, rate=RATE, channels=1, level=0.1, **facts):
    """Make a clip of white noise."""
    rng = np.random.default_rng(seed)
    samples = level * rng.standard_normal((channels, round(duration_sec * rate)))
    return Clip(name, samples.astype(np.float32), rate, ClipFacts(**facts))


def noise_set(label="A", count=6, seed=0, **options):
    """Make a set of clips c0, c1, ... of white noise."""
    clips = [noise_clip(f"c{at}", (seed, at), **options) for at in range(count)]
    return ClipsInMemory(label, clips)


def set_of(label, *clips):
    """Make a set of these clips."""
    return ClipsInMemory(label, clips)


@dataclass(frozen=True)
class LinearEmbedding:
    """Mixes each window's samples by a fixed random matrix: white noise gives white vectors."""

    dimensions: int = 4
    name: str = "linear-test"
    sample_rate: int = RATE
    channels: int = 1
    window_sec: float = 1.0
    hop_sec: float = 0.5
    calls: list[int] = field(default_factory=list, compare=False)

    def embed(self, windows):
        self.calls.append(len(windows))
        mixing = _mixing(windows.shape[2], self.dimensions)
        return windows.mean(axis=1).astype(np.float64) @ mixing


@cache
def _mixing(samples, dimensions):
    draws = np.random.default_rng(7).standard_normal((samples, dimensions))
    return np.linalg.qr(draws)[0] * np.sqrt(samples) / 100


def vector_set(vectors_of_clips, label="A", embedding_name="linear-test"):
    """Make an embedded set of these (windows, dimensions), one a clip."""
    names = tuple(f"c{at:03}" for at in range(len(vectors_of_clips)))
    vectors = dict(zip(names, map(np.asarray, vectors_of_clips), strict=True))
    return EmbeddedSet(label, names, vectors, "0123456789ab", embedding_name, 2.0, 1.0)


def gaussian_clips(seed, clips, windows, dimensions, *, alike=0.0, shift=0.0, scale=1.0):
    """Draw vectors of variance scale^2 around shift, of which `alike` is the clip's own share."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((clips, 1, dimensions))
    own = rng.standard_normal((clips, windows, dimensions))
    return shift + scale * (np.sqrt(alike) * common + np.sqrt(1 - alike) * own)
