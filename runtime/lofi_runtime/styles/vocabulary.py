"""Loads the tag vocabulary, `recipes/styles/words/vocabulary.yaml`: every known tag by category.

A tag is looked up without regard to case, accents, hyphens and blanks. Besides the listed tags
there are four kinds nobody can list: "82 bpm", keys ("A minor"), a timbre before a voice ("breathy
vocals") and a known tag refused ("no piano").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lofi_runtime.errors import StyleError
from lofi_runtime.styles.plain_yaml import read_plain_yaml
from lofi_runtime.styles.taxonomy import CATEGORIES, MODES, Style, shipped_styles

VOCAL_CATEGORIES = ("vocal_timbre", "technique")
"""What a voice is like and what it does: outside the template, after the vocal type."""
ALL_CATEGORIES = (*CATEGORIES, *VOCAL_CATEGORIES)
WORDS_FOLDER = "words"
VOCABULARY_NAME = "vocabulary.yaml"

_MODES = "|".join(sorted(MODES, key=len, reverse=True))
_KEY = re.compile(rf"(?:key of )?[a-g](?:#|♯|b|♭)? ({_MODES})(?: key)?")
_BPM = re.compile(r"([0-9]{2,3})(?:\.[0-9]+)? ?bpm")
_TIMBRE = re.compile(r"(.+) (?:vocals?|voice|timbre|singing)")
_REFUSED = re.compile(r"(?:no|without) (.+)")
_DASHES = re.compile(r"[\s_\-‐‑–]+")
_KEYS = ("same", "broader", "bpm")
_MINOR_MODES = ("minor", "dorian", "phrygian", "harmonic minor")
_MAJOR_MODES = ("major", "lydian", "mixolydian")
_SHOWN_BPM = 3.0  # found and given tempos of one track differ by rounding, not by more


@dataclass(frozen=True)
class Word:
    """One tag of the vocabulary.

    Args:
        tag: as prompts write it.
        category: one of `ALL_CATEGORIES`.
        same: other words for exactly this.
        broader: what it always also is.
        bpm: the tempos a tempo word fits, None for other tags.
    """

    tag: str
    category: str
    same: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()
    bpm: tuple[int, int] | None = None


@dataclass(frozen=True)
class Meaning:
    """What a tag in a prompt was understood as.

    Args:
        tag: the vocabulary's own spelling, or the tag as given for a tempo or key.
        category: where it belongs.
        bpm: the tempos it fits; None where it says nothing of the tempo.
        refused: whether it says that this is not there ("no piano").
    """

    tag: str
    category: str
    bpm: tuple[float, float] | None = None
    refused: bool = False


@dataclass(frozen=True)
class Side:
    """A tag's place in a group of contradictions: tags of two sides do not go together."""

    group: str
    side: str


@dataclass(frozen=True)
class Vocabulary:
    """Known tags and which of them contradict each other.

    Args:
        words: by `fold`ed tag, several where a tag is in several categories, the first one first.
        aliases: `fold`ed synonym to `fold`ed tag.
        sides: `fold`ed tag to its places in the contradictions.
    """

    words: Mapping[str, tuple[Word, ...]]
    aliases: Mapping[str, str]
    sides: Mapping[str, tuple[Side, ...]] = field(default_factory=dict)

    def word(self, tag: str) -> Word | None:
        """Give a tag's or a synonym's entry in its first category; None for an unknown one."""
        folded = fold(tag)
        found = self.words.get(self.aliases.get(folded, folded))
        return found[0] if found else None

    def tags(self, category: str) -> tuple[str, ...]:
        """List a category's tags in the order of the file."""
        return tuple(
            word.tag for words in self.words.values() for word in words if word.category == category
        )

    def names(self) -> Iterator[str]:
        """Give every tag and every synonym."""
        for words in self.words.values():
            yield words[0].tag
            yield from words[0].same

    def meaning(self, tag: str) -> Meaning | None:
        """Understand one tag of a prompt; None for one that is not known."""
        plain = " ".join(unicodedata.normalize("NFKC", tag).lower().split())
        if bpm := _BPM.fullmatch(plain):
            number = float(bpm[1])
            return Meaning(plain, "tempo", (number, number))
        if _KEY.fullmatch(plain):
            return Meaning(plain, "tempo")
        if word := self.word(plain):
            return Meaning(word.tag, word.category, word.bpm)
        timbre = _TIMBRE.fullmatch(plain)
        if timbre and any(
            word.category == "vocal_timbre" for word in self.words.get(fold(timbre[1]), ())
        ):
            return Meaning(plain, "vocal_timbre")
        refused = _REFUSED.fullmatch(plain)
        inner = self.word(refused[1]) if refused else None
        return Meaning(inner.tag, inner.category, refused=True) if inner else None

    def contradiction(self, one: Meaning, other: Meaning) -> str:
        """Name what two meanings disagree about, such as "season"; "" where they agree."""
        if one.refused or other.refused:
            same = one.tag == other.tag and one.refused is not other.refused
            return one.category if same else ""
        if one.bpm and other.bpm and not _overlap(one.bpm, other.bpm):
            return "tempo"
        for mine in self._sides(one):
            for theirs in self._sides(other):
                if mine.group == theirs.group and mine.side != theirs.side:
                    # A tag on both sides (a summer evening) agrees with either.
                    if mine in self._sides(other) or theirs in self._sides(one):
                        continue
                    return mine.group
        return ""

    def with_styles(self, styles: Iterable[Style]) -> Vocabulary:
        """Give a vocabulary that also knows a taxonomy's own tags and the styles' names."""
        words = dict(self.words)
        for style in styles:
            named = {"genre": (style.name.lower(), *style.tags["genre"])}
            for category, tags in {**style.tags, **named}.items():
                for tag in tags:
                    if fold(tag) not in words and fold(tag) not in self.aliases:
                        words[fold(tag)] = (Word(tag, category),)
        return Vocabulary(words, self.aliases, self.sides)

    def _sides(self, meaning: Meaning) -> tuple[Side, ...]:
        if key := _KEY.fullmatch(meaning.tag):
            name = "minor" if key[1] in _MINOR_MODES else "major" if key[1] in _MAJOR_MODES else ""
            return (Side("mode", name),) if name else ()
        if meaning.category == "vocal_timbre" and fold(meaning.tag) not in self.words:
            return (Side("voice", "with"),)
        return self.sides.get(fold(meaning.tag), ())


def fold(tag: str) -> str:
    """Bring a tag to the form it is looked up by: lower case, no accents, hyphens as blanks."""
    decomposed = unicodedata.normalize("NFKD", tag.lower())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _DASHES.sub(" ", unicodedata.normalize("NFC", bare)).strip()


def load_vocabulary(folder: Path | None = None) -> Vocabulary:
    """Load a vocabulary.

    Args:
        folder: a styles folder; where it has no `words/vocabulary.yaml` of its own, and for None,
            the shipped one is taken.

    Raises:
        StyleError: the file is damaged, one line each fault.
    """
    own = None if folder is None else folder / WORDS_FOLDER / VOCABULARY_NAME
    return _load(own) if own is not None and own.is_file() else shipped_vocabulary()


@cache
def shipped_vocabulary() -> Vocabulary:
    """Load the vocabulary that comes with the program, once."""
    return _load(shipped_styles() / WORDS_FOLDER / VOCABULARY_NAME)


def _load(path: Path) -> Vocabulary:
    try:
        content, problems = read_plain_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise StyleError([f"{path.name}: not UTF-8 text"]) from error
    if not problems:
        problems = list(_faults(content))
    if problems:
        raise StyleError([f"{WORDS_FOLDER}/{path.name}: {problem}" for problem in problems])
    words: dict[str, tuple[Word, ...]] = {}
    aliases: dict[str, str] = {}
    for category, tags in content["tags"].items():
        for tag, entry in tags.items():
            word = _word(tag, category, entry)
            words[fold(tag)] = (*words.get(fold(tag), ()), word)
            aliases.update({fold(other): fold(tag) for other in word.same})
    sides: dict[str, tuple[Side, ...]] = {}
    for group, named in content["contradictions"].items():
        for side, tags in named.items():
            for tag in tags:
                sides[fold(tag)] = (*sides.get(fold(tag), ()), Side(group, side))
    return Vocabulary(words, aliases, sides)


def _word(tag: str, category: str, entry: Mapping[str, Any]) -> Word:
    bpm = entry.get("bpm")
    return Word(
        tag,
        category,
        same=tuple(entry.get("same", ())),
        broader=tuple(entry.get("broader", ())),
        bpm=(bpm[0], bpm[1]) if bpm else None,
    )


def _faults(content: object) -> Iterator[str]:
    if not isinstance(content, dict) or set(content) != {"tags", "contradictions"}:
        yield "expected the two keys 'tags' and 'contradictions'"
        return
    tags, groups = content["tags"], content["contradictions"]
    if not isinstance(tags, dict) or not isinstance(groups, dict):
        yield "tags and contradictions: expected mappings"
        return
    homes: dict[str, list[str]] = {}
    for category, entries in tags.items():
        if category not in ALL_CATEGORIES or not isinstance(entries, dict):
            yield f"tags.{category}: expected one of {', '.join(ALL_CATEGORIES)}, with its tags"
            continue
        for tag, entry in entries.items():
            yield from (f"tags.{category}: {tag}: {fault}" for fault in _entry_faults(entry))
            if isinstance(entry, dict):
                for name in (tag, *_listed(entry, "same")):
                    homes.setdefault(fold(str(name)), []).append(f"{category}: {tag}")
    for name, places in homes.items():
        if len({place for place in places if not place.startswith(VOCAL_CATEGORIES)}) > 1:
            yield f"tags: '{name}' means several: {', '.join(places)}"
    yield from _loose_ends(content, homes)


def _entry_faults(entry: object) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "expected a mapping such as {same: [other word]}"
        return
    yield from (f"{key}: not one of {', '.join(_KEYS)}" for key in entry if key not in _KEYS)
    for key in ("same", "broader"):
        value = entry.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            yield f"{key}: expected a list of tags"
    bpm = entry.get("bpm", [0, 0])
    if not isinstance(bpm, list) or [type(number) for number in bpm] != [int, int]:
        yield f"bpm: expected [lowest, highest], got {bpm}"


def _loose_ends(content: Mapping[str, Any], homes: Mapping[str, object]) -> Iterator[str]:
    """Say which tags are pointed at and not there."""
    for category, entries in content["tags"].items():
        for tag, entry in entries.items() if isinstance(entries, dict) else ():
            for name in _listed(entry, "broader"):
                if fold(str(name)) not in homes:
                    yield f"tags.{category}: {tag}: broader: '{name}' is no tag here"
    for group, sides in content["contradictions"].items():
        if not isinstance(sides, dict) or len(sides) < 2:
            yield f"contradictions.{group}: expected two or more sides"
            continue
        for side, tags in sides.items():
            for tag in tags if isinstance(tags, list) else [None]:
                if not isinstance(tag, str) or fold(tag) not in homes:
                    yield f"contradictions.{group}.{side}: '{tag}' is no tag here"


def _listed(entry: object, key: str) -> list[Any]:
    value = entry.get(key, []) if isinstance(entry, dict) else []
    return value if isinstance(value, list) else []


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    slack = _SHOWN_BPM if one[0] == one[1] and other[0] == other[1] else 0.0
    return one[0] <= other[1] + slack and other[0] <= one[1] + slack
