"""Clips grouped by style, each as one vector: what every figure of styles is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import FormatCheck, check_set, listed, pair_names
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.embedded import embed_set
from lofi_engine.metrics.protocol import Embedding, Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CLIPS_A_STYLE = 4
"""Fewer say nothing of a style's spread, and too little when clips are drawn again."""


@dataclass(frozen=True)
class StyledSet:
    """A set's clips by style.

    One vector a clip, as windows of one clip are alike: they would count as far more than they say.

    Args:
        label: how errors call the set.
        names: of the clips, sorted.
        styles: the ids, sorted.
        style_of: int64 (clips,), each clip's style as an index into `styles`.
        vectors: float64 (clips, dimensions), the mean over a clip's windows.
        windows: of each clip.
        content_hash: the set's.
        embedding: its name.
        window_sec: how long a window is.
        hop_sec: from one window to the next.
    """

    label: str
    names: tuple[str, ...]
    styles: tuple[str, ...]
    style_of: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float64]
    windows: tuple[int, ...]
    content_hash: str
    embedding: str
    window_sec: float
    hop_sec: float

    @property
    def deviations(self) -> npt.NDArray[np.float64]:
        """Each clip less its style's mean, float64 (clips, dimensions)."""
        import numpy as np

        means = [self.vectors[self.style_of == at].mean(axis=0) for at in range(len(self.styles))]
        deviations: npt.NDArray[np.float64] = self.vectors - np.stack(means)[self.style_of]
        return deviations

    def details(self) -> dict[str, Any]:
        """Give what every figure of styles says in its details."""
        return {
            "window_sec": self.window_sec,
            "hop_sec": self.hop_sec,
            "windows": sum(self.windows),
            "clips_by_style": {
                style: int((self.style_of == at).sum()) for at, style in enumerate(self.styles)
            },
        }


def names_by_style(clips: ClipSet, fewest: int = CLIPS_A_STYLE) -> dict[str, tuple[str, ...]]:
    """Group a set's clips by their facts alone, without reading any sound.

    Args:
        clips: the set.
        fewest: clips that a style must have.

    Returns:
        By style, sorted; the names sorted.

    Raises:
        MetricError: no clips, a clip without a style, fewer than two styles, a style with too few
            clips.
    """
    check_set(clips)
    unknown = [name for name in clips.names if not clips.facts(name).style]
    if unknown:
        raise MetricError(
            f"{clips.label}: no style is known of {listed(unknown)}",
            hint='give "style" for each in clips.json',
        )
    grouped: dict[str, list[str]] = {}
    for name in clips.names:
        grouped.setdefault(clips.facts(name).style, []).append(name)
    if len(grouped) < 2:
        raise MetricError(
            f"{clips.label}: all clips are {next(iter(grouped))}, two styles or more are needed",
            hint="add clips of other styles",
        )
    few = {style: len(names) for style, names in sorted(grouped.items()) if len(names) < fewest}
    if few:
        has = listed(f"{style} has {count}" for style, count in few.items())
        raise MetricError(
            f"{clips.label}: {has}; at least {fewest} clips of each style are needed",
            hint="add clips, or leave these styles out",
        )
    return {style: tuple(names) for style, names in sorted(grouped.items())}


def check_styled_pairs(first: ClipSet, second: ClipSet) -> None:
    """Refuse sets that are not pairs of clips of one style.

    Raises:
        MetricError: as `names_by_style` and `pair_names`; the styles of a pair differ.
    """
    pair_names(first, second)
    names_by_style(first)
    names_by_style(second)
    differ = [
        f"{name} ({first.facts(name).style} against {second.facts(name).style})"
        for name in first.names
        if first.facts(name).style != second.facts(name).style
    ]
    if differ:
        raise MetricError(
            f"{first.label} and {second.label}: styles differ: {listed(differ)}",
            hint="generate both sets with the same prompts",
        )


def embed_styled(
    sets: Sequence[ClipSet], embedding: Embedding, report: Report
) -> tuple[StyledSet, ...]:
    """Embed sets and group them by style.

    Args:
        sets: to be held against each other.
        embedding: to embed them with.
        report: called after every clip, counted over all sets.

    Raises:
        MetricError: as `names_by_style` and `embed_set`; clips of two sets differ in sample rate or
            channels.
    """
    formats = FormatCheck()
    for clips in sets:  # a light look before the heavy work, which looks at every clip of a set
        names_by_style(clips)
        formats.see(clips.clip(clips.names[0]), clips.label)
    total = sum(len(clips.names) for clips in sets)
    styled = []
    before = 0
    for clips in sets:
        styled.append(_styled(clips, embedding, _part_of(report, before, total)))
        before += len(clips.names)
    return tuple(styled)


def check_equal_lengths(first: StyledSet, second: StyledSet) -> None:
    """Refuse pairs of unlike length: a short clip's mean strays farther, as if it were livelier.

    Raises:
        MetricError: a pair's numbers of windows differ by more than one.
    """
    for name, one, other in zip(first.names, first.windows, second.windows, strict=True):
        if abs(one - other) > 1:
            raise MetricError(
                f"{first.label}: {name}: {one} windows, but {other} in {second.label}",
                hint="generate both sets at one length",
            )


def _styled(clips: ClipSet, embedding: Embedding, report: Report) -> StyledSet:
    import numpy as np

    styles = tuple(names_by_style(clips))
    embedded = embed_set(clips, embedding, report)
    indices = [styles.index(clips.facts(name).style) for name in embedded.names]
    return StyledSet(
        label=embedded.label,
        names=embedded.names,
        styles=styles,
        style_of=np.array(indices, np.int64),
        vectors=np.stack([embedded.vectors[name].mean(axis=0) for name in embedded.names]),
        windows=tuple(len(embedded.vectors[name]) for name in embedded.names),
        content_hash=embedded.content_hash,
        embedding=embedded.embedding_name,
        window_sec=embedded.window_sec,
        hop_sec=embedded.hop_sec,
    )


def _part_of(report: Report, before: int, total: int) -> Report:
    def passed_on(done: int, _of: int, name: str) -> None:
        report(before + done, total, name)

    return passed_on
