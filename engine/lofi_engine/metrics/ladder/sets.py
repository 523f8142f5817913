"""The clips a ladder is climbed on: a set degraded, and a set parted in two."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import replace

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipSet
from lofi_engine.metrics.ladder.degradations import Degradation


class DegradedClips:
    """A set of clips, degraded as they are read.

    A clip's latents are left out: they are not what its degraded sound was decoded from.

    Args:
        clips: as they were.
        degradation: what is done to them.
        level: how much of it.
        seed: with the clip's name it seeds the degradation, so that no two clips get the same
            noise and one clip gets the same at every level.
    """

    def __init__(self, clips: ClipSet, degradation: Degradation, level: float, seed: int) -> None:
        self._clips = clips
        self._degradation = degradation
        self._level = level
        self._seed = seed
        self._hash = ""

    @property
    def label(self) -> str:
        """The set's own, with the degradation and its level."""
        said = self._degradation.say(self._level)
        return f"{self._clips.label} ({self._degradation.name}, {said})"

    @property
    def names(self) -> tuple[str, ...]:
        """As they were: every clip is the pair of its original."""
        return self._clips.names

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip; degrading changes none of it."""
        return self._clips.facts(name)

    def clip(self, name: str) -> Clip:
        """Read a clip and degrade it.

        Raises:
            MetricError: it cannot be decoded, or has no samples.
        """
        clip = self._clips.clip(name)
        seed = zlib.crc32(f"{self._seed} {name}".encode())
        change = self._degradation.apply
        samples = change(clip.samples, clip.sample_rate, self._level, seed)
        return replace(clip, samples=samples, latents=None)

    def content_hash(self) -> str:
        """Hash what the degraded samples follow from: the originals, the level and the seed."""
        if not self._hash:
            how = f"{self._degradation.name} {self._level} {self._seed}"
            self._hash = _digits(f"{self._clips.content_hash()} {how}")
        return self._hash


class SomeClips:
    """Some clips of a set.

    Args:
        clips: the whole set.
        names: which of them.
        label: how errors call it.
    """

    def __init__(self, clips: ClipSet, names: Sequence[str], label: str) -> None:
        self._clips = clips
        self._names = tuple(sorted(names))
        self._label = label
        self._hash = ""

    @property
    def label(self) -> str:
        """How errors call it."""
        return self._label

    @property
    def names(self) -> tuple[str, ...]:
        """The chosen clips' names, sorted."""
        return self._names

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip."""
        return self._clips.facts(name)

    def clip(self, name: str) -> Clip:
        """Read a clip."""
        return self._clips.clip(name)

    def content_hash(self) -> str:
        """Hash the chosen names and the whole set's content."""
        if not self._hash:
            self._hash = _digits("\0".join((self._clips.content_hash(), *self._names)))
        return self._hash


def halves(clips: ClipSet) -> tuple[SomeClips, SomeClips]:
    """Part a set in two that share no clip: every other name, so that styles are in both.

    An odd one is left out: halves of one size have one number of windows.

    Raises:
        MetricError: there are fewer than two clips.
    """
    count = len(clips.names) // 2
    if not count:
        raise MetricError(
            f"{clips.label}: one clip cannot be parted in two", hint="give at least two"
        )
    first = SomeClips(clips, clips.names[0 : 2 * count : 2], f"{clips.label}, first half")
    second = SomeClips(clips, clips.names[1 : 2 * count : 2], f"{clips.label}, second half")
    return first, second


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
