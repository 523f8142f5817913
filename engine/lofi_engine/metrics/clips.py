"""What is measured: a clip of sound with what is known of it, and a set of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lofi_engine.errors import MetricError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip besides its sound; "" and None where nothing is.

    Args:
        prompt: what it was asked for, or described, as.
        style: the id of its style, such as "CORE-01".
        lyrics: what is sung in it.
        seed: it was generated with.
    """

    prompt: str = ""
    style: str = ""
    lyrics: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class Clip:
    """A piece of sound.

    Args:
        name: unique in its set; clips of one name in two sets are a pair.
        samples: float32 (channels, samples).
        sample_rate: in Hz.
        facts: what is known of it.
        latents: (channels, height, frames) it was decoded from, where they were kept.
    """

    name: str
    samples: npt.NDArray[np.float32]
    sample_rate: int
    facts: ClipFacts = ClipFacts()
    latents: npt.NDArray[np.float32] | None = None

    @property
    def duration_sec(self) -> float:
        """How long it is."""
        return float(self.samples.shape[1] / self.sample_rate)


class ContentHash:
    """Hashes clips as they come: equal sounds of equal names have equal hashes."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, samples: npt.NDArray[np.float32], sample_rate: int) -> None:
        """Add a clip's name, sample rate and samples; sets add theirs in the order of names."""
        self._digest.update(f"{name}\0{sample_rate}\0{samples.shape}\0".encode())
        self._digest.update(samples.astype("<f4", copy=False).tobytes())

    def digits(self) -> str:
        """Give the first 12 hexadecimal digits."""
        return self._digest.hexdigest()[:12]


def hash_clips(clips: ClipSet) -> str:
    """Read every clip of a set and hash it."""
    found = ContentHash()
    for name in clips.names:
        clip = clips.clip(name)
        found.add(name, clip.samples, clip.sample_rate)
    return found.digits()


class ClipSet(Protocol):
    """Clips by name, read one at a time so that a set of any size fits in memory.

    Attributes:
        label: how errors and tables call the set: its folder, or a variant's name.
        names: of the clips, sorted.
    """

    @property
    def label(self) -> str:
        """How errors and tables call the set."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names, sorted."""
        ...

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip without reading its sound."""
        ...

    def clip(self, name: str) -> Clip:
        """Read a clip.

        Raises:
            MetricError: its file cannot be decoded.
        """
        ...

    def content_hash(self) -> str:
        """Give 12 hexadecimal digits that change whenever a name or a sample does."""
        ...


class ClipsInMemory:
    """A set whose clips are held already.

    Args:
        label: how errors call it.
        clips: in any order.

    Raises:
        MetricError: two clips share a name.
    """

    def __init__(self, label: str, clips: Iterable[Clip]) -> None:
        self._label = label
        self._clips: dict[str, Clip] = {}
        for clip in clips:
            if clip.name in self._clips:
                raise MetricError(f"{label}: two clips are called {clip.name}", hint="rename one")
            self._clips[clip.name] = clip

    @property
    def label(self) -> str:
        """How errors and tables call the set."""
        return self._label

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names, sorted."""
        return tuple(sorted(self._clips))

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip."""
        return self._clips[name].facts

    def clip(self, name: str) -> Clip:
        """Give a clip."""
        return self._clips[name]

    def content_hash(self) -> str:
        """Hash names, sample rates and samples."""
        return hash_clips(self)
