"""Put lyrics into a score: its sung notes take the vowels of the words. No consonant is sung."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

from lofi_runtime.synth.score import Score

_SINGERS = ("female vocals", "male vocals", "chopped vocals", "choir")
_DIRECTION = re.compile(r"\[.*?\]")
_VOWELS = re.compile(r"[aeiouy]+")


def syllables_of(lyrics: str) -> tuple[str, ...]:
    """Return one pair of vowels for each syllable: where it begins and where it ends.

    A syllable is a run of vowels as they are written: "lonely" is "oo", "ee", "ii". What stands
    in brackets is a direction; letters beyond a to z are not read.
    """
    words = _DIRECTION.sub(" ", lyrics).lower().replace("y", "i")
    runs = _VOWELS.findall(words)
    return tuple(run[0] + run[-1] for run in runs)


def is_sung(score: Score) -> bool:
    """Whether the score has a voice that can take lyrics."""
    return any(note.instrument in _SINGERS for note in score.notes)


def sing(score: Score, lyrics: str) -> Score:
    """Return the score with the lyrics' vowels on its sung notes, in order and over again.

    Humming and murmuring stay what they are. Without a vowel in `lyrics`, or a singer in the
    score, it is the score as it was.
    """
    syllables = syllables_of(lyrics)
    if not syllables:
        return score
    place = count()
    notes = tuple(
        replace(note, syllable=syllables[next(place) % len(syllables)])
        if note.instrument in _SINGERS
        else note
        for note in score.notes
    )
    return replace(score, notes=notes)
