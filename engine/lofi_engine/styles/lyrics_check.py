"""Reads lyrics as a listener would: sections, lines, rhymes, languages. Reports, never refuses."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lofi_engine.styles.rhyme import line_end, rhyme_scheme
from lofi_runtime.pipeline.kana import KANA
from lofi_runtime.pipeline.lyric_languages import is_loan_word, script_of
from lofi_runtime.pipeline.lyrics import is_instrumental

SECTIONS = (
    "intro", "verse", "pre-chorus", "chorus", "post-chorus", "hook", "bridge", "break",
    "interlude", "instrumental", "inst", "solo", "build", "drop", "refrain", "outro", "start",
    "end",
)  # fmt: skip
"""Section names ACE-Step and the specification use; a number may follow."""
LINES = {"verse": (4, 4), "chorus": (2, 4), "hook": (2, 4), "refrain": (2, 4)}
"""How many lines the templates give a section. Twice as many, as two stanzas, is taken too."""

_MARK = re.compile(r"\[\s*([^\]]*?)\s*(\d*)\s*\]")
_SOUND = re.compile(r"[(（].*[)）]|\*.*\*")
_LETTERS = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "KANA": "ja", "HAN": "zh", "HANGUL": "ko", "CYRILLIC": "ru", "ARABIC": "ar", "THAI": "th",
    "DEVANAGARI": "hi", "GREEK": "el", "HEBREW": "he",
}  # fmt: skip
# The commonest words of each language in Latin letters that the others do not have.
_COMMON = {
    "en": "the and you is of my i in me we it are with that this just no your on like let feel",
    "es": "el los las que y en mi tu por con es una sin noche como quiero esta siempre",
    "fr": "le les des et je tu est dans pour une sans nuit avec mon mes que pas ce",
    "de": "der die das und ich du ist nicht ein eine mit auf wir nacht mein dein im",
    "pt": "o os as que e em meu minha voce por com uma sem noite não nao eu",
    "it": "il gli che e di mi ti per con una senza notte sono io nel della",
}
_COMMON_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}


@dataclass(frozen=True)
class Section:
    """One section of lyrics.

    Args:
        name: in lower case without its number, such as "verse"; "" for lines before any mark.
        title: as written, such as "Verse 1".
        lines: what is sung; sounds in parentheses are not.
        scheme: "AABB", "ABAB", "AAAA", "AA" or "none".
    """

    name: str
    title: str
    lines: tuple[str, ...]
    scheme: str


@dataclass(frozen=True)
class LyricsReport:
    """What lyrics are made of.

    Args:
        sections: in order; none for an instrumental.
        languages: lines by language code, the commonest first; "" for one that cannot be told.
        warnings: what differs from the templates, one line each.
    """

    sections: tuple[Section, ...]
    languages: tuple[tuple[str, int], ...]
    warnings: tuple[str, ...]

    @property
    def scheme(self) -> str:
        """The scheme of the verses where all have one and the same, else "none"."""
        schemes = {part.scheme for part in self.sections if part.name == "verse" and part.lines}
        if len(schemes) > 1:  # four lines that all rhyme also rhyme in pairs
            schemes.discard("AAAA")
        return schemes.pop() if len(schemes) == 1 else "none"


def check_lyrics(lyrics: str) -> LyricsReport:
    """Report on lyrics.

    Args:
        lyrics: as in a `_lyrics.txt`; "[Instrumental]" has nothing to report.
    """
    if is_instrumental(lyrics):
        return LyricsReport((), (), ())
    among_japanese = KANA.search(lyrics) is not None
    sections = tuple(_section(*part, among_japanese) for part in _split(lyrics))
    lines = [line for section in sections for line in section.lines]
    languages = Counter(line_language(line, among_japanese=among_japanese) for line in lines)
    ordered = tuple(sorted(languages.items(), key=lambda item: (-item[1], item[0])))
    return LyricsReport(sections, ordered, tuple(_warnings(sections)))


def line_language(line: str, *, among_japanese: bool = False) -> str:
    """Tell a line's language: by its script, and in Latin letters by its commonest words.

    Args:
        line: one sung line.
        among_japanese: whether the lyrics have kana; Han characters alone are then Japanese.

    Returns:
        A code such as "en" or "ja"; plain Latin letters without a telling word are "en"; "" where
        marked letters or another script leave it open.
    """
    units = _units(line)
    if not units:
        return ""
    if units["KANA"] or (units["HAN"] and among_japanese):
        return "ja"
    script = max(units, key=lambda name: (units[name], name))
    if script != "LATIN":
        return _SCRIPTS.get(script, "")
    words = [word.lower() for word in _LETTERS.findall(line) if script_of(word[0]) == "LATIN"]
    hits = {code: sum(word in known for word in words) for code, known in _COMMON_WORDS.items()}
    best = max(hits, key=lambda code: (hits[code], code == "en"))
    if hits[best]:
        return best
    return "en" if all(word.isascii() or is_loan_word(word) for word in words) else ""


def _units(line: str) -> Counter[str]:
    """Count what a line is written in: words by script, but each Han character for itself.

    In lines of two languages a Chinese character then weighs as much as an English word.
    """
    units: Counter[str] = Counter()
    for word in _LETTERS.findall(line):
        scripts = [script_of(letter) for letter in word]
        units.update(script for script in scripts if script in ("HAN", "KANA"))
        units.update({script for script in scripts if script and script not in ("HAN", "KANA")})
    return units


def _split(lyrics: str) -> Iterator[tuple[str, list[str]]]:
    """Give each section's title and its sung lines."""
    title, lines = "", list[str]()
    for line in (raw.strip() for raw in lyrics.splitlines()):
        if mark := _MARK.fullmatch(line):
            if title or lines:
                yield title, lines
            title, lines = f"{mark[1]} {mark[2]}".strip(), []
        elif line and not _SOUND.fullmatch(line):
            lines.append(line)
    if title or lines:
        yield title, lines


def _section(title: str, lines: list[str], among_japanese: bool) -> Section:
    name = re.sub(r"\s*\d+$", "", title).lower()
    ends = [line_end(line, line_language(line, among_japanese=among_japanese)) for line in lines]
    return Section(name, title, tuple(lines), rhyme_scheme(ends))


def _warnings(sections: tuple[Section, ...]) -> Iterator[str]:
    for section in sections:
        if not section.title:
            yield f"{len(section.lines)} lines stand before any section mark such as [Verse]"
            continue
        if section.name not in SECTIONS:
            near = difflib.get_close_matches(section.name, SECTIONS, n=1)
            advice = f"; did you mean [{near[0].capitalize()}]?" if near else ""
            yield f"[{section.title}] is not a known section{advice}"
        fewest, most = LINES.get(section.name, (0, len(section.lines)))
        count = len(section.lines)
        if not (fewest <= count <= most or (count % 2 == 0 and fewest * 2 <= count <= most * 2)):
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            yield f"[{section.title}] has {count} lines; {wanted} are usual"
    verses = [section for section in sections if section.name == "verse"]
    for verse in verses[1:]:
        if verse.scheme != verses[0].scheme and "AAAA" not in (verse.scheme, verses[0].scheme):
            yield (f"[{verse.title}] rhymes {verse.scheme}, [{verses[0].title}] {verses[0].scheme}")
