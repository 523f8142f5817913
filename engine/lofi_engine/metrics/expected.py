"""What every clip of a set should have, by its prompt or by its pair, and what is heard in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import check_clip, check_set, labelled, pair_names, read_pair
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.protocol import Report

PROMPTS, PAIRS = "prompts", "pairs"
SHORTEST_SEC = 5.0
"""Of a clip whose tempo or key is listened for: about six beats."""

Wanted = TypeVar("Wanted")
Heard = TypeVar("Heard")


@dataclass(frozen=True)
class Listening(Generic[Wanted, Heard]):
    """How to read and hear one thing, such as the tempo.

    Args:
        name: of the metric, for errors.
        example: how a prompt asks for it.
        asked: reads it in a prompt; None where the prompt does not ask.
        heard: hears it in a clip; false (0.0, "") where there is none.
        wanted: what a pair's own is as something to be held to.
    """

    name: str
    example: str
    asked: Callable[[str], Wanted | None]
    heard: Callable[[Clip], Heard]
    wanted: Callable[[Heard], Wanted]


@dataclass(frozen=True)
class Answers(Generic[Wanted, Heard]):
    """What came of it.

    Args:
        by: PROMPTS or PAIRS, what the clips were held to.
        each: by clip, what it should have and what was heard, false where nothing was.
        left_out: clips whose prompt does not ask, or whose pair has none.
    """

    by: str
    each: dict[str, tuple[Wanted, Heard]]
    left_out: tuple[str, ...]


def listen(
    listening: Listening[Wanted, Heard], judged: ClipSet, against: ClipSet | None, report: Report
) -> Answers[Wanted, Heard]:
    """Hear every clip and give it what it should have.

    The reference's clips are the pairs. A reference without a single clip of the judged names, such
    as a folder of real music, has no pairs: then, as without a reference, the prompts say.

    Args:
        listening: what is listened for.
        judged: what is measured.
        against: its pairs, or None.
        report: called after every clip.

    Raises:
        MetricError: a clip has no sound or is under 5 s, some but not all clips have pairs, or
            neither prompts nor pairs say anything.
    """
    check_set(judged)
    if against is None or not set(judged.names) & set(against.names):
        return _by_prompts(listening, judged, report)
    return _by_pairs(listening, judged, against, report)


def _by_prompts(
    listening: Listening[Wanted, Heard], judged: ClipSet, report: Report
) -> Answers[Wanted, Heard]:
    asked = {name: listening.asked(judged.facts(name).prompt) for name in judged.names}
    wanted = {name: one for name, one in asked.items() if one is not None}
    if not wanted:
        raise MetricError(
            f"{judged.label}: no clip's prompt asks for a {listening.name}",
            hint=f'give prompts such as "{listening.example}", or a reference with clips of the '
            "same names",
        )
    each: dict[str, tuple[Wanted, Heard]] = {}
    for number, (name, one) in enumerate(wanted.items(), 1):
        clip = judged.clip(name)
        check_clip(clip, judged.label)
        each[name] = one, _hear(listening, clip, judged.label)
        report(number, len(wanted), name)
    return Answers(PROMPTS, each, tuple(name for name in asked if name not in wanted))


def _by_pairs(
    listening: Listening[Wanted, Heard], judged: ClipSet, against: ClipSet, report: Report
) -> Answers[Wanted, Heard]:
    each: dict[str, tuple[Wanted, Heard]] = {}
    left_out: list[str] = []
    names = pair_names(judged, against)
    for number, name in enumerate(names, 1):
        clip, reference = read_pair(judged, against, name)
        expected = _hear(listening, reference, against.label)
        if expected:
            each[name] = listening.wanted(expected), _hear(listening, clip, judged.label)
        else:
            left_out.append(name)
        report(number, len(names), name)
    if not each:
        raise MetricError(
            f"{against.label}: no {listening.name} is heard in any clip",
            hint="hold the clips against others",
        )
    return Answers(PAIRS, each, tuple(left_out))


def _hear(listening: Listening[Wanted, Heard], clip: Clip, label: str) -> Heard:
    if clip.duration_sec < SHORTEST_SEC:
        raise MetricError(
            f"{label}: {clip.name}: {clip.duration_sec:.2f} s, too short to hear a "
            f"{listening.name}",
            hint=f"leave it out or use clips of {SHORTEST_SEC:g} s and longer",
        )
    with labelled(label):
        return listening.heard(clip)
