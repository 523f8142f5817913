"""Tags whose effect can be heard: which pieces have them, and prompts that differ in one alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lofi_engine.base_quality.hearing import COLOUR, HARMONY, HOME
from lofi_runtime.synth.score import Score

_KEY = re.compile(r"^([A-G][#b]?) [a-z ]+$")
_MODES = ("major", "minor", "dorian", "phrygian", "mixolydian", "lydian", "harmonic minor")
_GUITARS = ("acoustic guitar", "electric guitar", "muted guitar")
_LEADS = (
    *("piano", *_GUITARS, "rhodes", "wurlitzer", "organ", "vibraphone", "marimba", "kalimba"),
    *(
        "music box",
        "celesta",
        "bells",
        "soft bells",
        "harp",
        "koto",
        "ukulele",
        "flute",
        "clarinet",
    ),
    *("saxophone", "trumpet", "violin", "cello", "strings", "clavinet", "casio keyboard"),
    *("chiptune leads", "synth arpeggio", "analog synth", "theremin", "steel drums"),
    *("horn section", "synth stabs"),
)


@dataclass(frozen=True)
class Tag:
    """Two answers to one question about a sound.

    Args:
        name: what the row is called.
        answers: both, as prompts say them where `ask` puts them in.
        of: the answer that is true of a score; "" where neither is, or both.
        ask: gives a prompt that asks for one answer and says nothing of the other.
        how: what it is heard by, `hearing.COLOUR`, `HARMONY` or `HOME`.
    """

    name: str
    answers: tuple[str, str]
    of: Callable[[Score], str]
    ask: Callable[[str, str], str]
    how: str


def _texture(name: str, tag: str, words: str) -> Tag:
    """Make a tag of a noise that is there or not."""
    pattern = re.compile(words)
    there, absent = f"with {name}", f"without {name}"

    def of(score: Score) -> str:
        return there if name in dict(score.textures) else absent

    def ask(prompt: str, answer: str) -> str:
        kept = [one for one in prompt.split(", ") if not pattern.search(one)]
        if answer == there:
            kept.insert(len(kept) - 1, tag)
        return ", ".join(kept)

    return Tag(name, (there, absent), of, ask, COLOUR)


def _leading(score: Score) -> str:
    has_piano = "piano" in score.instruments
    has_guitar = any(name in score.instruments for name in _GUITARS)
    if has_piano == has_guitar:
        return ""
    return "piano" if has_piano else "acoustic guitar"


def _ask_leading(prompt: str, answer: str) -> str:
    tags = prompt.split(", ")
    place = next((at for at, tag in enumerate(tags) if tag in _LEADS), 1)
    before = [tag for tag in tags[:place] if tag not in _LEADS]
    return ", ".join([*before, answer, *(tag for tag in tags[place:] if tag not in _LEADS)])


def _mode(score: Score) -> str:
    return score.key.mode if score.key.mode in ("minor", "major") else ""


def _ask_mode(prompt: str, answer: str) -> str:
    tags = []
    for tag in prompt.split(", "):
        key = _KEY.match(tag)
        is_key = key is not None and tag.split(" ", 1)[1] in _MODES
        tags.append(f"{key.group(1)} {answer}" if key is not None and is_key else tag)
    if not any(tag.endswith(f" {answer}") and _KEY.match(tag) for tag in tags):
        tags.insert(len(tags) - 1, f"A {answer}")
    return ", ".join(tags)


TAGS = (
    _texture("rain", "rain ambience", r"\brain|storm|thunder"),
    _texture("vinyl crackle", "vinyl crackle", r"crackle|vinyl"),
    Tag("piano against guitar", ("piano", "acoustic guitar"), _leading, _ask_leading, COLOUR),
    Tag("minor against major", ("minor", "major"), _mode, _ask_mode, HARMONY),
    Tag("minor against major, on the tonic asked for", ("minor", "major"), _mode, _ask_mode, HOME),
)
"""What the figure "classifiers" asks."""
