"""Captions and sounds that have nothing in common, to catch a model that hears no difference.

Published checkpoints have been found whose text half answers nearly the same to everything (mean
cosine 0.9993 between unrelated captions, where a sound one of the same family has 0.18 to 0.29).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

CAPTIONS = (
    "a dog barks at a passing car",
    "calm solo piano, slow and sparse",
    "heavy rain on a tin roof",
    "an aggressive distorted techno kick drum",
    "a woman reads the news in French",
    "glass breaks on a stone floor",
)
_SEED = 20_260


def unrelated_sounds(sample_rate: int, duration_sec: float) -> Samples:
    """Make noise, a hum, a rising tone, clicks, and gated chords: float32 (5, samples)."""
    import numpy as np

    random = np.random.default_rng(_SEED)
    count = round(sample_rate * duration_sec)
    time = np.arange(count) / sample_rate
    noise = 0.2 * random.standard_normal(count)
    hum = 0.3 * sum(np.sin(2 * np.pi * 55 * part * time) / part for part in (1, 2, 3))
    top = min(6000, sample_rate / 3)
    sweep = 0.4 * np.sin(2 * np.pi * (100 * time + (top - 100) * time**2 / (2 * duration_sec)))
    clicks = 0.8 * (np.mod(time, 0.25) < 0.002)
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (440, 554.4, 659.3))
    gated = 0.2 * chord * (np.mod(time, 0.6) < 0.3)
    return np.stack([noise, hum, sweep, clicks, gated]).astype(np.float32)


def likeness(vectors: npt.NDArray[np.float64]) -> float:
    """Give the median cosine over all pairs of vectors (vectors, dimensions).

    The median, since one outlier hides a collapse in a mean, and one close pair is none.
    """
    import numpy as np

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    upper = np.triu_indices(len(unit), k=1)
    return float(np.median((unit @ unit.T)[upper]))
