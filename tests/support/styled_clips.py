"""Clips whose place in a small embedding is chosen, so that distances can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.style_sets import StyledSet

RATE = 1000
_LEVEL = 0.001
TWO_STYLES = np.repeat([0, 1], 4)


@dataclass(frozen=True)
class PlaceEmbedding:
    """Gives each one-second window the place it was made at, up to float32's rounding.

    The means of a window's sixteenths are its coordinates; `clip_at` adds a tone that sums to
    nothing in each of them, so that no clip is silent.
    """

    dimensions: int
    name: str = "place-v1"
    sample_rate: int = RATE
    channels: int = 1
    window_sec: float = 1.024
    hop_sec: float = 1.024

    def embed(self, windows):
        parts = windows.astype(np.float64).reshape(len(windows), -1, 1024 // 16).mean(axis=2)
        return parts[:, : self.dimensions] / _LEVEL


def clip_at(name, place, style, *, seed=None, prompt="", windows=2):
    """Make a clip whose mean vector is `place`."""
    parts = np.zeros(16)
    parts[: len(place)] = place
    tone = np.tile([0.1, -0.1], 512)
    window = np.repeat(parts * _LEVEL, 1024 // 16) + tone
    samples = np.tile(window, windows)[None].astype(np.float32)
    return Clip(name, samples, RATE, ClipFacts(prompt=prompt, style=style, seed=seed))


def clips_at(label, places, *, seeds=True):
    """Make a set from places (clips, dimensions) by style."""
    return ClipsInMemory(
        label,
        [
            clip_at(f"{style}-{at}", place, style, seed=at if seeds else None, prompt=style)
            for style, of_style in places.items()
            for at, place in enumerate(of_style)
        ],
    )


def scattered(rng, centres, clips, spread=1.0):
    """Scatter clips around the centre of each style: (clips, dimensions) by style."""
    return {
        style: np.asarray(centre) + spread * rng.normal(size=(clips, len(centre)))
        for style, centre in centres.items()
    }


def styled_at(vectors, style_of=TWO_STYLES, label="ours"):
    """Give a set whose clips' vectors are given; two styles of four clips if nothing is said."""
    count = len(style_of)
    return StyledSet(
        label=label,
        names=tuple(f"clip-{at}" for at in range(count)),
        styles=tuple(f"S{at}" for at in range(int(style_of.max()) + 1)),
        style_of=style_of,
        vectors=np.asarray(vectors, float),
        windows=(1,) * count,
        content_hash="0123456789ab",
        embedding="place-v1",
        window_sec=1.0,
        hop_sec=1.0,
    )


def silent(_done, _of, _name):
    """Report to nobody."""
