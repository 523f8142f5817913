"""Where every choice comes from: one Philox stream for each named purpose.

Streams are keyed by a hash of words, so a new choice in the drums never shifts the melody, and
nothing depends on Python's salted `hash()`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


def generator(*parts: str | int) -> np.random.Generator:
    """Return the random stream that belongs to `parts`; equal parts give equal streams."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    """Return one of `options`, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with the given probability; always takes one draw."""
    return bool(rng.random() < probability)
