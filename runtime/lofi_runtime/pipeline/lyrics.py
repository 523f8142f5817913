"""Lyrics to ACE-Step v1's lyric token ids.

What is supported: English, exactly as the reference; kana, sound by sound (see `kana`). Not
supported: kanji and Chinese, Korean, Arabic, Cyrillic and other scripts, whose letters become
unknown tokens; and the other languages in Latin letters, which are read as English. The reference
tells languages apart by statistics and spells each out with tools of its own; `warnings` says what
will be lost.
"""

from __future__ import annotations

import re
import unicodedata

from lofi_runtime.pipeline.clean_en import clean_english
from lofi_runtime.pipeline.kana import KANA, to_romaji

NO_LYRICS = [0]
"""What stands for an instrumental."""

_START = 261
_LINE_END = 2
_TAG = re.compile(r"\[.*?\]")
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
        for line in lyrics.split("\n"):
            text = _spelled(line.strip())
            if text:
                ids += self._tokenizer.encode(text.replace(" ", "[SPACE]")).ids
            ids.append(_LINE_END)
        return ids

    def warnings(self, lyrics: str) -> tuple[str, ...]:
        """Say what of the lyrics will be lost, one line each."""
        if is_instrumental(lyrics):
            return ()
        scripts = sorted({_script(letter) for letter in lyrics} - {"", "LATIN", "KANA"})
        return tuple(
            f"lyrics: {script.title()} letters are not supported and will not be sung"
            for script in scripts
        )


def _spelled(line: str) -> str:
    """Give a line's language tag and letters; "" for an empty line."""
    if not line:
        return ""
    if KANA.search(line) and not _TAG.match(line):
        return f"[ja]{to_romaji(line).lower()}"
    return f"[en]{clean_english(line)}"


def _script(letter: str) -> str:
    """Name a letter's script by its Unicode name; "" for what is not a letter."""
    if not letter.isalpha():
        return ""
    if KANA.match(letter):
        return "KANA"
    first = unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
    return "CHINESE OR JAPANESE" if first == "CJK" else first
