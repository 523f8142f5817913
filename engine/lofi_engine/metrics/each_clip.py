"""Goes through a set's clips, or the pairs of two sets, and gives each clip its value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from lofi_engine.metrics.checks import FormatCheck, check_clip, labelled, read_pair
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.protocol import Report

Value = TypeVar("Value")


def value_each(
    clips: ClipSet, names: Iterable[str], value: Callable[[Clip], Value], report: Report
) -> dict[str, Value]:
    """Give the value of each clip of a set.

    Args:
        clips: the set.
        names: of the clips that count.
        value: of one clip; its errors start with the clip's name.
        report: called after every clip.

    Raises:
        MetricError: a clip has no sound, clips differ in sample rate or channels, or what `value`
            raises, with the set's label before it.
    """
    formats, wanted = FormatCheck(), tuple(names)
    found: dict[str, Value] = {}
    for done, name in enumerate(wanted, start=1):
        clip = clips.clip(name)
        check_clip(clip, clips.label)
        formats.see(clip, clips.label)
        with labelled(clips.label):
            found[name] = value(clip)
        report(done, len(wanted), name)
    return found


def value_pairs(
    first: ClipSet,
    second: ClipSet,
    names: Iterable[str],
    value: Callable[[Clip], Value],
    report: Report,
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Give the values of each clip of two sets, the clips of a pair cut to one length.

    Args:
        first: one set.
        second: the other.
        names: of the pairs that count.
        value: of one clip; its errors start with the clip's name.
        report: called after every pair.

    Raises:
        MetricError: as `value_each`; or the clips of a pair differ in length.
    """
    formats, wanted = FormatCheck(), tuple(names)
    found: tuple[dict[str, Value], dict[str, Value]] = {}, {}
    for done, name in enumerate(wanted, start=1):
        pair = read_pair(first, second, name)
        for values, clip, clips in zip(found, pair, (first, second), strict=True):
            formats.see(clip, clips.label)
            with labelled(clips.label):
                values[name] = value(clip)
        report(done, len(wanted), name)
    return found
