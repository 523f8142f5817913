"""Tells whether lines rhyme, by spelling: enough to report a scheme, not to judge a poem.

English: the last word from its last sounded vowel on. A silent e is dropped, spellings of one
sound fall together (rain, same; light, night), and so do consonants an ear takes for a rhyme in a
song: m and n, t and d, s and z; a plural's s counts for nothing. A short table holds common words
that English spells to deceive. Japanese: the last vowel of the line, with ん as one of its own.
"""

from __future__ import annotations

import re
import unicodedata

from lofi_runtime.pipeline import japanese

_WORD = re.compile(r"[a-z']+")
_DECEIVING = {
    "love": "UHv", "above": "UHv", "of": "UHv", "done": "UHn", "one": "UHn", "none": "UHn",
    "come": "UHn", "some": "UHn", "gone": "On", "are": "AR", "heart": "ARt", "you": "UU",
    "do": "UU", "to": "UU", "two": "UU", "who": "UU", "through": "UU", "blue": "UU", "too": "UU",
    "now": "AU", "how": "AU", "down": "AUn", "town": "AUn", "crowd": "AUt", "brown": "AUn",
    "allow": "AU", "there": "EIR", "where": "EIR", "here": "IIR", "said": "Et", "head": "Et",
    "dead": "Et", "bread": "Et", "been": "In", "give": "Iv", "live": "Iv", "have": "Av",
    "they": "EI", "key": "II", "eye": "AI", "eyes": "AI", "i": "AI", "my": "AI", "high": "AI",
    "door": "OR", "floor": "OR", "more": "OR", "four": "OR", "your": "OR", "war": "OR",
    "goodbye": "AI", "bye": "AI", "grey": "EI", "hey": "EI",
    "warm": "ORn", "word": "URt", "world": "URlt", "though": "OU", "doubt": "AUt",
    "away": "EI", "again": "En", "great": "EIt", "break": "EIk", "so": "OU", "go": "OU", "no": "OU",
    "goes": "OU", "knows": "OU", "soul": "OUl", "door's": "OR", "wall": "OOl", "call": "OOl",
    "fall": "OOl", "all": "OOl", "bass": "EIs", "was": "Os", "what": "Ot",
}  # fmt: skip
_VOWEL = re.compile(r"(igh|eigh|ough|augh|[aeiouy]+)")
_SOUNDS = {
    "igh": "AI", "eigh": "EI", "ough": "OU", "augh": "OO", "ai": "EI", "ay": "EI", "ei": "EI",
    "ey": "II", "ee": "II", "ea": "II", "ie": "II", "oa": "OU", "oe": "OU", "ou": "AU", "oo": "UU",
    "ue": "UU", "ui": "UU", "oi": "OI", "oy": "OI", "au": "OO", "a": "A", "e": "E", "i": "I",
    "o": "O", "u": "UH", "y": "I",
}  # fmt: skip
_LONG_BEFORE_R = {"a": "EIR", "e": "IIR", "i": "AIR", "o": "OR", "u": "UUR", "y": "AIR"}
_LONG = {"a": "EI", "e": "II", "i": "AI", "o": "OU", "u": "UU", "y": "AI"}
_CODAS = (
    (re.compile(r"bt$"), "t"),
    (re.compile(r"ck|c$|q"), "k"),
    (re.compile(r"mb$|ng|m|n"), "n"),
    (re.compile(r"d"), "t"),
    (re.compile(r"z|x"), "s"),
    (re.compile(r"gh|h"), ""),
    (re.compile(r"(.)\1"), r"\1"),
)


def line_end(line: str, language: str) -> str:
    """Give the sound a line ends on, equal for lines that rhyme; "" where it has none we know.

    Args:
        line: one sung line.
        language: "ja" for Japanese; every other one is read as English is spelled.
    """
    return _japanese_end(line) if language == "ja" else _english_end(line)


def rhyme_scheme(ends: list[str]) -> str:
    """Name a section's scheme.

    Args:
        ends: `line_end` of its lines in order; an empty one rhymes with nothing.

    Returns:
        "AABB", "ABAB" or "AAAA" where every four lines have it, "AA" for two lines that rhyme,
        else "none".
    """
    if len(ends) == 2:
        return "AA" if _same(ends[0], ends[1]) else "none"
    if not ends or len(ends) % 4:
        return "none"
    schemes = {_scheme_of_four(ends[at : at + 4]) for at in range(0, len(ends), 4)}
    return schemes.pop() if len(schemes) == 1 else "none"


def _scheme_of_four(ends: list[str]) -> str:
    one, two, three, four = ends
    pairs, crossed = (
        _same(one, two) and _same(three, four),
        _same(one, three) and _same(two, four),
    )
    if pairs and crossed:
        return "AAAA"
    return "AABB" if pairs else "ABAB" if crossed else "none"


def _same(one: str, other: str) -> bool:
    return bool(one) and one == other


def _english_end(line: str) -> str:
    plain = unicodedata.normalize("NFD", line.lower().replace("’", "'"))
    words = _WORD.findall("".join(x for x in plain if not unicodedata.combining(x)))
    if not words:
        return ""
    word = words[-1].strip("'")
    if word in _DECEIVING:
        return _DECEIVING[word]
    word = word.removesuffix("'s").replace("'", "")
    if word.endswith("s") and not word.endswith(("ss", "us", "is", "as", "os")) and len(word) > 3:
        word = word[:-1]
    if word in _DECEIVING:
        return _DECEIVING[word]
    return _ending(word)


def _ending(word: str) -> str:
    """Give the sound of a word from its last vowel on."""
    silent = re.fullmatch(r"(.*[^aeiouy])?([aeiouy])([^aeiouyw]{1,2})e", word)
    if silent and silent[3] not in ("ck", "ss", "nc", "ng"):
        if silent[3] == "r":
            return _LONG_BEFORE_R[silent[2]]
        return _shape(_LONG[silent[2]], silent[3])
    if word.endswith(("nce", "nge", "sse")):
        word = word[:-1]
    if open_end := re.fullmatch(r"(.*?)(ow|aw|ew)(n|l|s)?", word):
        return _shape({"ow": "OU", "aw": "OO", "ew": "UU"}[open_end[2]], open_end[3] or "")
    groups = list(_VOWEL.finditer(word))
    if not groups:
        return word[-2:]
    last = groups[-1]
    vowel, coda = last[1], word[last.end() :]
    if not coda and vowel in ("e", "o", "a", "i", "y", "ey"):
        only = len(groups) == 1
        sounds = {
            "e": "II",
            "o": "OU",
            "a": "A",
            "i": "AI",
            "y": "AI" if only else "II",
            "ey": "II",
        }
        return sounds[vowel]
    if coda[:1] == "r" and len(vowel) == 1:
        return _shape({"a": "AR", "o": "OR"}.get(vowel, "UR"), coda[1:])
    if vowel == "i" and coda in ("nd", "ld"):
        return _shape("AI", coda)
    if vowel == "o" and coda in ("ld", "ll", "lt"):
        return _shape("OU", coda)
    sound = _SOUNDS.get(vowel) or _SOUNDS.get(vowel[-2:]) or _SOUNDS[vowel[-1]]
    return _shape("AI" if vowel == "ie" and not coda else sound, coda)


def _shape(vowel: str, coda: str) -> str:
    for pattern, becomes in _CODAS:
        coda = pattern.sub(becomes, coda)
    return vowel + coda


def _japanese_end(line: str) -> str:
    letters = [letter for letter in japanese.romanize(line) if letter.isalpha()]
    last = letters[-1] if letters else ""
    return last if last in tuple("aiueon") else ""
