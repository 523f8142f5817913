"""Read wishes out of plain words or tags: tempo, key, mood, instruments, what is not wanted.

Anything not understood is left alone; it still changes the music, since it is part of the hash
that seeds the composition.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from lofi_runtime.synth import vocabulary as v
from lofi_runtime.synth.score import PITCH_NAMES

TEMPO_LIMITS_BPM = (40.0, 180.0)
LISTS = ("moods", "instruments", "percussion", "textures", "themes", "sounds")
"""The fields of `Wishes` that hold what was mentioned, in order."""


@dataclass(frozen=True)
class Wishes:
    """What a text asks for; an empty field was not mentioned.

    Args:
        tempo_bpm: lowest and highest tempo wanted.
        tonic: pitch class, 0 is C.
        mode: one of `vocabulary.MODE_WORDS`.
        modes: what to choose from where no mode is named; only a style says this.
        genre: the first genre named.
        moods: in order of mention, as are the other tuples.
        instruments: pitched ones.
        percussion: hand percussion and bells beside the kit.
        kit: the drum kit.
        textures: noises around the music.
        themes: seasons and scenes, which bring defaults of their own.
        sounds: what to do to tape and room.
        refused: concepts that must not be heard; "drums", "bass" and "melody" are whole roles.
    """

    tempo_bpm: tuple[float, float] | None = None
    tonic: int | None = None
    mode: str | None = None
    modes: tuple[str, ...] = ()
    genre: str | None = None
    moods: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    percussion: tuple[str, ...] = ()
    kit: str | None = None
    textures: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()

    def over(self, lower: Wishes) -> Wishes:
        """Return these wishes with `lower` filling what they leave open; lists are joined."""
        merged: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(lower, field.name)
            if field.name in ("tempo_bpm", "tonic", "mode", "genre", "kit"):
                merged[field.name] = theirs if mine is None else mine
            elif field.name == "refused":
                # What a default refuses, a word may ask for.
                merged[field.name] = mine | (theirs - _wanted(self))
            else:
                merged[field.name] = tuple(dict.fromkeys((*mine, *theirs)))
        return replace(self, **merged)


def read(text: str) -> Wishes:
    """Return what `text` asks for; never fails, whatever the text."""
    plain = unicodedata.normalize("NFKC", text).replace("♯", "#").replace("♭", "b")
    tonic, mode, plain = _take_key(plain)
    tempo, plain = _take_tempo(plain.casefold())
    found: dict[str, list[str]] = {}
    refused: set[str] = set()
    for clause in re.split(r"[,.;:!?|/\n\r\t、。，()\[\]]+", _spaced(plain)):
        _read_clause(clause, found, refused)
    wished: dict[str, Any] = {name: tuple(dict.fromkeys(found.get(name, ()))) for name in LISTS}
    named_mode = found.get("mode", [None])[0]
    wishes = Wishes(
        tempo_bpm=tempo or _worded_tempo(found),
        tonic=tonic,
        mode=mode or named_mode,
        genre=found.get("genre", [None])[0],
        kit=found.get("kit", [None])[0],
        refused=frozenset(refused),
        **wished,
    )
    if wishes.kit is None and found.get("drums") and "drums" not in refused:
        wishes = replace(wishes, kit="any")
    return wishes


_NEGATORS = frozenset(
    ("no", "without", "sans", "minus", "zero", "dont", "don't", "remove", "non", "not")
)
_BREAKERS = frozenset(("but", "with", "just", "only", "please", "plus", "yes", "instead"))


def _wanted(wishes: Wishes) -> frozenset[str]:
    wanted = {*wishes.instruments, *wishes.percussion, *wishes.textures, *wishes.moods}
    if wishes.kit or wishes.percussion:
        wanted.add("drums")
    return frozenset(wanted)


def _spaced(text: str) -> str:
    return re.sub(r"(?<=[^\W_])[-_](?=[^\W\d_])|_", " ", text).replace("’", "'")


def _take_tempo(text: str) -> tuple[tuple[float, float] | None, str]:
    number = r"(\d{2,3}(?:\.\d+)?)"
    patterns = (
        rf"{number}\s*(?:-|–|to|~)\s*{number}\s*-?(?:bpm|beats per minute)",
        rf"{number}\s*-?(?:bpm|beats per minute)",
        rf"(?:bpm|tempo)\s*(?:of|is|at)?\s*[:=]?\s*{number}",
    )
    for pattern in patterns:
        match = re.search(pattern, text)
        if match:
            bounds = sorted(_limited(float(group)) for group in match.groups())
            rest = f"{text[: match.start()]},{text[match.end() :]}"
            return (bounds[0], bounds[-1]), rest
    return None, text


def _limited(tempo_bpm: float) -> float:
    return min(max(tempo_bpm, TEMPO_LIMITS_BPM[0]), TEMPO_LIMITS_BPM[1])


def _worded_tempo(found: dict[str, list[str]]) -> tuple[float, float] | None:
    named = found.get("tempo")
    return v.TEMPO_WORDS[named[0]] if named else None


_MODES = "harmonic minor|major|minor|maj|min|dorian|phrygian|lydian|mixolydian|pentatonic"
_KEY_WORDS = re.compile(
    rf"(?<![\w'])([A-Ga-g])\s*[- ]?(#|b(?![a-z])|sharp|flat)?[\s-]*({_MODES})(?![\w])"
    r"(\s+(?:key|feel|mood|chords?|scale|vibe|tonality))?",
    re.IGNORECASE,
)
_KEY_BARE = re.compile(r"\b(?:key of|key:|in the key of)\s*([A-Ga-g])\s*(#|b|sharp|flat)?(?!\w)")
_KEY_CHORD = re.compile(r"(?:^|,|\bin\s)\s*([A-G])(#|b)?(m|maj|min)\s*(?=$|,)")


def _take_key(text: str) -> tuple[int | None, str | None, str]:
    for match in _KEY_WORDS.finditer(text):
        letter, sign, mode, noun = match.groups()
        rest = f"{text[: match.start()]},{text[match.end() :]}"
        if letter == "a" and not sign and noun:
            # "in a minor key": the article, not the note.
            return None, _mode(mode), rest
        return _pitch_class(letter, sign), _mode(mode), rest
    for pattern in (_KEY_CHORD, _KEY_BARE):
        found = pattern.search(text)
        if found:
            mode = found.group(3) if pattern is _KEY_CHORD else None
            rest = f"{text[: found.start()]},{text[found.end() :]}"
            return _pitch_class(found.group(1), found.group(2)), mode and _mode(mode), rest
    return None, None, text


def _mode(word: str) -> str:
    return {"maj": "major", "min": "minor", "m": "minor"}.get(word.lower(), word.lower())


def _pitch_class(letter: str, sign: str | None) -> int:
    step = {"#": 1, "sharp": 1, "b": -1, "flat": -1}.get((sign or "").lower(), 0)
    return (PITCH_NAMES.index(letter.upper()) + step) % 12


@cache
def _aliases() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return alias -> the (category, concept) pairs it stands for."""
    table: dict[str, list[tuple[str, str]]] = {}
    tables: dict[str, dict[str, tuple[str, ...]]] = {
        "instruments": v.INSTRUMENTS,
        "percussion": v.PERCUSSION,
        "kit": v.KITS,
        "textures": v.TEXTURES,
        "moods": v.MOODS,
        "genre": v.GENRES,
        "themes": v.THEMES,
        "sounds": v.SOUNDS,
        "mode": v.MODE_WORDS,
        "tempo": dict.fromkeys(v.TEMPO_WORDS, ()),
        "drums": {"drums": v.DRUM_WORDS},
        "drumless": {"drumless": v.DRUMLESS_WORDS},
        "melody": {"melody": v.MELODY_WORDS},
    }
    for category, concepts in tables.items():
        for concept, others in concepts.items():
            for alias in (concept, *others):
                table.setdefault(alias, []).append((category, concept))
    return {alias: tuple(meanings) for alias, meanings in table.items()}


@cache
def _alias_pattern() -> re.Pattern[str]:
    ordered = sorted(_aliases(), key=len, reverse=True)
    parts = [rf"\b{re.escape(a)}\b" if a.isascii() else re.escape(a) for a in ordered]
    return re.compile("|".join((*parts, r"[a-z]+(?:'[a-z]+)?")))


def _read_clause(clause: str, found: dict[str, list[str]], refused: set[str]) -> None:
    negated, last_kind = False, ""
    for match in _alias_pattern().finditer(clause):
        word = match.group()
        meanings = _aliases().get(word)
        if meanings is None:
            if word in _NEGATORS:
                negated, last_kind = True, ""
            elif word in _BREAKERS:
                negated = False
            continue
        kind = "atmosphere" if meanings[0][0] in ("textures", "moods", "themes") else "music"
        if negated and last_kind and kind != last_kind:
            negated = False  # "no drums and rain" asks for rain
        last_kind = kind
        for category, concept in meanings:
            if category == "drumless":
                refused.add("drums")
            elif negated:
                refused.update(_refusal(category, concept, word))
            else:
                found.setdefault(category, []).append(concept)


def _refusal(category: str, concept: str, word: str) -> tuple[str, ...]:
    if word in v.BASS_WORDS:
        return ("bass", *v.BASSES)
    if category == "instruments" and concept == "acoustic guitar" and word.startswith("guitar"):
        return ("acoustic guitar", "electric guitar", "muted guitar")
    if category == "instruments" and word in ("vocals", "vocal", "singing", "singer"):
        return v.VOCALS
    return (concept,)
