"""Refuses clips and sets of clips that would give a figure without meaning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lofi_engine.audio.levels import SILENCE_FLOOR_DBFS, frame_levels
from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipSet

PAIR_TOLERANCE_SEC = 0.1
"""How much longer one clip of a pair may be; the rest is cut off."""

LOUDEST = 10.0
"""No sample of sound between -1 and 1 lies above: masters over full scale stay under 2."""

_NAMED = 3
_CONVERT = "pass --convert to bring every clip to the lowest sample rate and the fewest channels"
_AGAIN = "leave it out or make it again"


@dataclass(frozen=True)
class SoundFormat:
    """What clips must share to be held against each other.

    Args:
        sample_rate: in Hz.
        channels: how many.
    """

    sample_rate: int
    channels: int

    @classmethod
    def of(cls, clip: Clip) -> SoundFormat:
        """Give a clip's format."""
        return cls(clip.sample_rate, len(clip.samples))

    def __str__(self) -> str:
        named = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.sample_rate} Hz {named}"


class FormatCheck:
    """Holds every clip it sees to the format of the first one.

    For sets that are read anyway, one clip at a time: `check_alike` would read them once more.
    """

    def __init__(self) -> None:
        self._first: SoundFormat | None = None
        self._whose = ""

    def see(self, clip: Clip, label: str) -> None:
        """Compare a clip's format with the first one's.

        Raises:
            MetricError: it differs; names both clips.
        """
        self.see_format(SoundFormat.of(clip), f"{label}: {clip.name}")

    def see_format(self, found: SoundFormat, whose: str) -> None:
        """Compare a format that is known already.

        Args:
            found: the format.
            whose: names the clip, as "FOLDER: NAME".

        Raises:
            MetricError: it differs from the first one; names both.
        """
        if self._first is None:
            self._first, self._whose = found, whose
        elif found != self._first:
            raise MetricError(
                f"{whose}: {found}, but {self._whose} is {self._first}", hint=_CONVERT
            )


def check_clip(clip: Clip, label: str) -> None:
    """Refuse a clip without sound in it.

    Args:
        clip: to look at.
        label: of its set, for the error.

    Raises:
        MetricError: no samples, NaN or infinity, samples that are not between -1 and 1 at all,
            silence, a constant offset. Silent is what has no
            frame of 50 ms above -70 dBFS once each channel's mean is taken out.
    """
    import numpy as np

    where = f"{label}: {clip.name}"
    if clip.samples.ndim != 2:
        raise MetricError(
            f"{where}: samples of shape {clip.samples.shape}", hint="give (channels, samples)"
        )
    if not clip.samples.size:
        raise MetricError(f"{where}: no samples", hint=_AGAIN)
    if not np.isfinite(clip.samples).all():
        at = int(np.flatnonzero(~np.isfinite(clip.samples).all(axis=0))[0])
        raise MetricError(
            f"{where}: NaN or infinity at {at / clip.sample_rate:.2f} s (sample {at})", hint=_AGAIN
        )
    if (peak := float(np.abs(clip.samples).max())) > LOUDEST:
        raise MetricError(
            f"{where}: peaks at {peak:.3g}, where full scale is 1",
            hint="divide its samples by what its full scale is, such as 32768",
        )
    if frame_levels(clip.samples, clip.sample_rate).max() > SILENCE_FLOOR_DBFS:
        return
    offset = float(clip.samples.mean(axis=1, dtype=np.float64)[_loudest(clip.samples)])
    if abs(offset) > 10 ** (SILENCE_FLOOR_DBFS / 20):
        raise MetricError(f"{where}: a constant {offset:.3g} and no sound", hint=_AGAIN)
    raise MetricError(f"{where}: silent, nothing above {SILENCE_FLOOR_DBFS:.0f} dBFS", hint=_AGAIN)


def check_set(clips: ClipSet, at_least: int = 1) -> None:
    """Refuse a set of too few clips.

    Raises:
        MetricError: fewer than `at_least`.
    """
    names = clips.names
    if not names:
        raise MetricError(f"{clips.label}: no clips", hint="give a folder of audio files")
    if len(names) < at_least:
        raise MetricError(
            f"{clips.label}: {plural(len(names), 'clip')} ({listed(names)}), "
            f"at least {at_least} are needed",
            hint="add clips: so few say nothing about others of their kind",
        )


def check_reference(metric: str, against: ClipSet | None) -> ClipSet:
    """Give the reference set.

    Raises:
        MetricError: there is none, or it is empty.
    """
    if against is None:
        raise MetricError(
            f"{metric}: no reference set", hint="name a second folder to hold the first against"
        )
    check_set(against)
    return against


def check_alike(first: ClipSet, second: ClipSet) -> None:
    """Refuse sets whose clips differ in sample rate or channels, within a set or between them.

    Reads every clip; where they are read anyway, use `FormatCheck`.

    Raises:
        MetricError: they differ; names two clips that do.
    """
    formats = FormatCheck()
    for clips in (first, second):
        for name in clips.names:
            formats.see(clips.clip(name), clips.label)


def pair_names(first: ClipSet, second: ClipSet) -> tuple[str, ...]:
    """Give the names of the pairs, sorted; every clip must have its pair.

    Raises:
        MetricError: a set is empty, names are in one set only, or the seeds or prompts of a pair
            are known and differ.
    """
    check_set(first)
    check_set(second)
    _check_same_names(first, second)
    _check_same_facts(first, second, "seeds", lambda facts: facts.seed)
    _check_same_facts(first, second, "prompts", lambda facts: facts.prompt or None)
    return first.names


def read_pair(first: ClipSet, second: ClipSet, name: str) -> tuple[Clip, Clip]:
    """Read two clips of one name, cut to the same number of samples.

    Raises:
        MetricError: one has no sound (`check_clip`), their formats differ, or one is more than
            0.1 s longer.
    """
    formats = FormatCheck()
    pair = first.clip(name), second.clip(name)
    for clip, label in zip(pair, (first.label, second.label), strict=True):
        check_clip(clip, label)
        formats.see(clip, label)
    lengths = [clip.samples.shape[1] for clip in pair]
    if abs(lengths[0] - lengths[1]) > PAIR_TOLERANCE_SEC * pair[0].sample_rate:
        raise MetricError(
            f"{first.label}: {name}: {pair[0].duration_sec:.2f} s, "
            f"but {pair[1].duration_sec:.2f} s in {second.label}",
            hint=f"a pair may differ by {PAIR_TOLERANCE_SEC} s: generate both at one length",
        )
    return _cut(pair[0], min(lengths)), _cut(pair[1], min(lengths))


@contextlib.contextmanager
def labelled(label: str) -> Iterator[None]:
    """Put a set's label before the message of a refusal, which starts with the clip's name."""
    try:
        yield
    except MetricError as error:
        raise MetricError(f"{label}: {error.message}", hint=error.hint) from error


def listed(names: Iterable[str]) -> str:
    """Give the first three names and how many more there are."""
    found = list(names)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


def plural(count: int, word: str) -> str:
    """Say how many, as "1 clip" or "2 clips"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _check_same_names(first: ClipSet, second: ClipSet) -> None:
    alone = [
        f"only in {here.label}: {listed(missing)}"
        for here, there in ((first, second), (second, first))
        if (missing := sorted(set(here.names) - set(there.names)))
    ]
    if alone:
        raise MetricError(
            f"{first.label} and {second.label}: clips without a pair; {'; '.join(alone)}",
            hint="give both sets clips of the same names",
        )


def _check_same_facts(
    first: ClipSet, second: ClipSet, what: str, fact: Callable[[ClipFacts], int | str | None]
) -> None:
    differ: list[str] = []
    for name in first.names:
        one, other = fact(first.facts(name)), fact(second.facts(name))
        if one is not None and other is not None and one != other:
            differ.append(f"{name} ({_short(one)} against {_short(other)})")
    if differ:
        raise MetricError(
            f"{first.label} and {second.label}: {what} differ: {listed(differ)}",
            hint=f"generate both sets with the same {what}",
        )


def _short(fact: int | str) -> str:
    if isinstance(fact, int):
        return str(fact)
    return f'"{fact}"' if len(fact) <= 40 else f'"{fact[:39]}…"'


def _loudest(samples: Any) -> int:
    import numpy as np

    return int(np.abs(samples).max(axis=1).argmax())


def _cut(clip: Clip, length: int) -> Clip:
    return (
        clip if clip.samples.shape[1] == length else replace(clip, samples=clip.samples[:, :length])
    )
