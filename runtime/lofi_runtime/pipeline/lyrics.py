"""Lyrics to ACE-Step v1's lyric token ids.

What is supported: English, exactly as the reference; Japanese, exactly as the reference where the
extra `japanese` is installed, else kana sound by sound (see `kana`) and no kanji. Every other
language is spelled in lower case under English's tag, its numbers and signs left as they are: the
reference tells languages apart by statistics and spells each out with tools of its own. Chinese,
Korean and other scripts are not romanized. `warnings` says what will be lost.
"""

from __future__ import annotations

import re
from textwrap import shorten

from lofi_runtime.pipeline import japanese
from lofi_runtime.pipeline.clean_en import clean_english
from lofi_runtime.pipeline.kana import KANA
from lofi_runtime.pipeline.lyric_languages import Language, language_of, script_of

MAX_TOKENS = 4096
"""What the model was trained to take; whoever encodes lyrics cuts them there, and says so."""
NO_LYRICS = [0]
"""What stands for an instrumental."""

_START = 261
_LINE_END = 2
_TAG = re.compile(r"\[.*?\]")
_SPACES = re.compile(r"\s+")
_INSTRUMENTAL = re.compile(r"\[?\s*(instrumental|inst)\s*\]?", re.IGNORECASE)


def is_instrumental(lyrics: str) -> bool:
    """Whether the lyrics are none: empty, or "[Instrumental]" or "[inst]" alone."""
    text = lyrics.strip()
    return not text or _INSTRUMENTAL.fullmatch(text) is not None


class LyricTokenizer:
    """Tokenizes lyrics with ACE-Step's vocabulary.

    Args:
        vocabulary_json: the text of `lyric_vocabulary.json`, a `tokenizers` file with `[en]`,
            `[SPACE]` and the structure tags among its tokens.

    Raises:
        ValueError: the text is not a tokenizer.
    """

    def __init__(self, vocabulary_json: str) -> None:
        from lofi_runtime.pipeline.text import load_tokenizer

        self._tokenizer = load_tokenizer(vocabulary_json)

    def encode(self, lyrics: str) -> list[int]:
        """Tokenize lyrics; `NO_LYRICS` for an instrumental.

        261 opens the text and 2 closes every line, empty ones too. A line is its language's tag
        (`[en]`, `[ja]`), then its letters, with `[SPACE]` for blanks. Structure tags such as
        `[Verse]` are tokens of their own.
        """
        return list(NO_LYRICS) if is_instrumental(lyrics) else self.encode_lines(lyrics)

    def encode_lines(self, lyrics: str) -> list[int]:
        """Tokenize lyrics as they stand, even "[Instrumental]", as the reference does."""
        ids = [_START]
        among_japanese = KANA.search(lyrics) is not None
        for line in lyrics.split("\n"):
            text = _spelled(line.strip(), among_japanese)
            if text:
                ids += self._tokenizer.encode(text.replace(" ", "[SPACE]")).ids
            ids.append(_LINE_END)
        return ids

    def warnings(self, lyrics: str) -> tuple[str, ...]:
        """Say what of the lyrics will be lost, one line each."""
        if is_instrumental(lyrics):
            return ()
        scripts = {script_of(letter) for letter in lyrics} - {"", "LATIN", "KANA"}
        found = _han_warnings(lyrics) if "HAN" in scripts else ()
        found += tuple(
            f"lyrics: {script.title()} letters are not supported and will not be sung"
            for script in sorted(scripts - {"HAN"})
        )
        foreign = [line for line in _lines(lyrics) if _is_foreign_latin(line)]
        if foreign:
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            found += (
                "lyrics: only English and Japanese are supported; read as if they were English: "
                f"'{shorten(foreign[0], 60, placeholder='...')}'{more}",
            )
        return found


def _lines(lyrics: str) -> list[str]:
    """List the lines that are sung: not empty, no structure tag."""
    stripped = [line.strip() for line in lyrics.split("\n")]
    return [line for line in stripped if line and not _TAG.match(line)]


def _spelled(line: str, among_japanese: bool) -> str:
    """Give a line's language tag and letters; "" for an empty line."""
    if not line:
        return ""
    if _TAG.match(line):
        return f"[en]{clean_english(line)}"
    language = language_of(line, among_japanese=among_japanese)
    if language is Language.JAPANESE:
        return f"[ja]{japanese.romanize(line)}"
    if language is Language.ENGLISH:
        return f"[en]{clean_english(line)}"
    unquoted = line.replace('"', "").lower()
    return f"[en]{_SPACES.sub(' ', unquoted)}"


def _han_warnings(lyrics: str) -> tuple[str, ...]:
    if not KANA.search(lyrics):
        return ("lyrics: Chinese letters are not supported and will not be sung",)
    if japanese.reads_kanji():
        return ()
    return (f"lyrics: kanji will not be sung; to have them read, install {japanese.EXTRA}",)


def _is_foreign_latin(line: str) -> bool:
    """Whether a line is in Latin letters, yet not English."""
    scripts = {script_of(letter) for letter in line} - {""}
    other = language_of(line, among_japanese=False) is Language.OTHER
    return other and scripts == {"LATIN"}
