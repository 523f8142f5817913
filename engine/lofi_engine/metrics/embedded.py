"""Embeds a set's clips once; everything after, bootstrap included, works on the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import (
    FormatCheck,
    SoundFormat,
    check_clip,
    check_set,
    labelled,
)
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.protocol import Embedding, Report
from lofi_engine.metrics.windows import cut_windows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float64]

COLLAPSED_BELOW = 0.01
"""Vectors whose deviation is under this share of their length are alike: cosines above 0.9998."""


@dataclass(frozen=True)
class EmbeddedSet:
    """A set's windows as vectors.

    Args:
        label: of the set.
        names: of its clips, sorted.
        vectors: float64 (windows, dimensions) of each clip.
        content_hash: of the set.
        embedding_name: with its version, and with the projection where there was one.
        window_sec: how long a window is.
        hop_sec: from one window to the next.
        format: of the clips themselves; None where nobody kept it.
    """

    label: str
    names: tuple[str, ...]
    vectors: Mapping[str, Vectors]
    content_hash: str
    embedding_name: str
    window_sec: float
    hop_sec: float
    format: SoundFormat | None = None

    @property
    def windows(self) -> int:
        """How many windows there are, of all clips."""
        return sum(len(self.vectors[name]) for name in self.names)

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return int(self.vectors[self.names[0]].shape[1])

    def copies(self) -> tuple[str, ...]:
        """Name the clips whose sound is that of a clip before them."""
        seen: set[bytes] = set()
        found = []
        for name in self.names:
            sound = self.vectors[name].tobytes()
            if sound in seen:
                found.append(name)
            seen.add(sound)
        return tuple(found)

    def stacked(self) -> Vectors:
        """Give all vectors, (windows, dimensions), clip after clip by name."""
        import numpy as np

        return np.concatenate([self.vectors[name] for name in self.names])


def embed_set(clips: ClipSet, embedding: Embedding, report: Report) -> EmbeddedSet:
    """Cut and embed every clip of a set.

    Args:
        clips: to embed.
        embedding: to embed them with.
        report: called after every clip.

    Raises:
        MetricError: the set is empty, a clip has no sound or is shorter than a window, clips differ
            in sample rate or channels, a vector is not finite, or all vectors are alike.
    """
    check_set(clips)
    embedding_name = embedding.name  # loads what is loaded late: its refusal is of no set
    formats = FormatCheck()
    vectors: dict[str, Vectors] = {}
    sound_format: SoundFormat | None = None
    for done, name in enumerate(clips.names, start=1):
        clip = clips.clip(name)
        check_clip(clip, clips.label)
        formats.see(clip, clips.label)
        sound_format = SoundFormat.of(clip)
        vectors[name] = _embedded(clip, clips.label, embedding)
        report(done, len(clips.names), name)
    found = EmbeddedSet(
        label=clips.label,
        names=clips.names,
        vectors=vectors,
        content_hash=clips.content_hash(),
        embedding_name=embedding_name,
        window_sec=embedding.window_sec,
        hop_sec=embedding.hop_sec,
        format=sound_format,
    )
    check_spread(found)
    return found


def check_spread(embedded: EmbeddedSet) -> None:
    """Refuse vectors of two clips or more that are all alike.

    Raises:
        MetricError: their root-mean-square deviation from their mean is under 1 % of their
            root-mean-square length.
    """
    import numpy as np

    if len(embedded.names) < 2:
        return
    stacked = embedded.stacked()
    size = float(np.abs(stacked).max())
    scaled = stacked / size if size else stacked
    length = np.sqrt(np.mean(np.square(scaled).sum(axis=1)))
    deviation = np.sqrt(np.mean(np.square(scaled - scaled.mean(axis=0)).sum(axis=1)))
    if deviation <= COLLAPSED_BELOW * length:
        raise MetricError(
            f"{embedded.label}: {embedded.embedding_name} gives all {len(stacked)} windows of "
            f"{len(embedded.names)} clips nearly the same vector",
            hint="the model is collapsed, or every clip is a copy of one: use another of either",
        )


def _embedded(clip: Clip, label: str, embedding: Embedding) -> Vectors:
    import numpy as np

    with labelled(label):
        windows = cut_windows(clip, embedding)
    vectors = np.asarray(embedding.embed(windows), dtype=np.float64)
    expected = (len(windows), embedding.dimensions)
    if vectors.shape != expected:
        raise MetricError(
            f"{label}: {clip.name}: {embedding.name} gave vectors of shape {vectors.shape}, "
            f"not {expected}",
            hint="the model does not fit its own description: use another",
        )
    if not np.isfinite(vectors).all():
        raise MetricError(
            f"{label}: {clip.name}: {embedding.name} gave NaN or infinity",
            hint="the model is damaged: use another",
        )
    return vectors
