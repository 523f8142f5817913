"""Lyrics and what a recogniser heard, as the words that are compared."""

from __future__ import annotations

import re
import unicodedata

from lofi_runtime.pipeline.lyric_languages import script_of

NORMALIZATION = (
    "[tags] and lines wholly in (parentheses) or *asterisks* left out of the lyrics; NFKC; folded "
    "case; punctuation and symbols dropped but apostrophes within words; numbers as written; each "
    "letter of Chinese, Japanese, Thai, Lao, Khmer and Burmese is a word, as they have no spaces"
)
"""What is done to both texts before they are compared, for reports."""

_WITHOUT_SPACES = frozenset({"HAN", "KANA", "THAI", "LAO", "KHMER", "MYANMAR"})
_TAG = re.compile(r"\[[^\]]*\]")
_NOT_SUNG = re.compile(r"[(（][^)）]*[)）]|\*[^*]*\*")
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")


def sung_words(lyrics: str) -> tuple[str, ...]:
    """Give the words of lyrics that are sung; none for an instrumental."""
    lines = (_TAG.sub(" ", line).strip() for line in lyrics.splitlines())
    return words_of("\n".join(line for line in lines if not _NOT_SUNG.fullmatch(line)))


def words_of(text: str) -> tuple[str, ...]:
    """Give a text's words as they are compared; see `NORMALIZATION`."""
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    spaced: list[str] = []
    is_own_word = False
    for at, letter in enumerate(folded):
        kind = unicodedata.category(letter)[0]
        if kind == "M":  # a vowel or tone, written on the letter before it
            spaced.append(letter)
            continue
        was_own_word, is_own_word = is_own_word, script_of(letter) in _WITHOUT_SPACES
        if is_own_word or was_own_word:
            spaced.append(" ")
        is_read = kind in "LN" or (letter == "'" and _within_word(folded, at))
        spaced.append(letter if is_read else " ")
    return tuple("".join(spaced).split())


def _within_word(text: str, at: int) -> bool:
    return 0 < at < len(text) - 1 and text[at - 1].isalnum() and text[at + 1].isalnum()
