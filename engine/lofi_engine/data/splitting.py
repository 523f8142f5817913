"""Divides tracks into training and validation. Pure; the same tracks and seed divide alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lofi_runtime.styles.prompts import draw

MIN_TRACKS = 2
"""With fewer there is nothing to hold out."""


@dataclass(frozen=True)
class Item:
    """One track to divide.

    Args:
        track: its name.
        style: its main style, "" for none.
        content: what stays on one side: the hash of its sound, or its group of near duplicates.
    """

    track: str
    style: str
    content: str


@dataclass(frozen=True)
class Split:
    """Who is where.

    Args:
        train: track names, sorted.
        validation: track names, sorted.
        by: "style" where at least one style was large enough to divide alone, else "overall".
        pooled: the styles too small for that, divided together.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    by: str
    pooled: tuple[str, ...]


def split_tracks(items: Sequence[Item], share: float, seed: int) -> Split:
    """Divide tracks so that each style is held out in its share.

    A style with enough tracks for one of them to be held out is divided alone; the others are
    divided together. Which tracks are held out depends on their sound and the seed alone, so a
    track added later moves few others.

    Args:
        items: the tracks.
        share: to hold out, 0 to 0.5; above 0, at least one of two or more tracks is.
        seed: picks which.
    """
    by_style: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_style[item.style].append(item)
    strata = {
        style: group
        for style, group in by_style.items()
        if style and round(len(group) * share) >= 1
    }
    pooled = sorted(set(by_style) - set(strata))
    held: set[str] = set()
    for group in (*strata.values(), [item for style in pooled for item in by_style[style]]):
        held |= _hold_out(group, round(len(group) * share), seed)
    contents = {item.content for item in items}
    if not held or held >= contents:  # twins in several styles can drag everything along
        held = _hold_out(items, 1, seed) if share > 0 and len(contents) >= MIN_TRACKS else set()
    validation = sorted(item.track for item in items if item.content in held)
    return Split(
        train=tuple(sorted(item.track for item in items if item.content not in held)),
        validation=tuple(validation),
        by="style" if strata and held else "overall",
        pooled=tuple(style for style in pooled if style) if strata else (),
    )


def _hold_out(items: Sequence[Item], count: int, seed: int) -> set[str]:
    """Pick contents until `count` tracks are held out; twins go together."""
    twins: Mapping[str, int] = _counted(items)
    held: set[str] = set()
    left = count
    for content in sorted(twins, key=lambda content: draw(seed, "split", content)):
        if left <= 0:
            break
        if twins[content] <= left or not held:
            held.add(content)
            left -= twins[content]
    return held


def _counted(items: Sequence[Item]) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[item.content] += 1
    return counts
