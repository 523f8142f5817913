"""Which language a line of lyrics is in, as far as spelling it needs to know."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum

from lofi_runtime.pipeline.kana import KANA

_HAN = re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORDS = re.compile(r"[^\W\d_]+")
# English words that are written with foreign marks, here without them; none that is common in the
# language it came from, such as à or über.
_LOAN_WORDS = frozenset(
    """
    beyonce bjork blase brulee cafe cafes chloe cliche cliches consomme creme crepe crepes decor
    deja doppelganger entree expose facade fiance fiancee jalapeno mache matinee melee naive naivete
    noel pina pinata pokemon protege puree renee resume risque saute seance senor senora senorita
    smorgasbord soiree souffle touche voila zoe
    """.split()  # noqa: SIM905 - a table of words reads better than a list of literals
)


class Language(Enum):
    """What a line can be: read well as one of the first two, or only spelled."""

    ENGLISH = "en"
    JAPANESE = "ja"
    OTHER = ""


def language_of(line: str, *, among_japanese: bool) -> Language:
    """Tell a line's language by its letters.

    Args:
        line: without structure tags.
        among_japanese: whether the lyrics have kana; Han characters alone are then kanji, and
            otherwise Chinese.
    """
    if KANA.search(line) or (among_japanese and _HAN.search(line)):
        return Language.JAPANESE
    is_english = all(word.isascii() or is_loan_word(word) for word in _WORDS.findall(line))
    return Language.ENGLISH if is_english else Language.OTHER


def is_loan_word(word: str) -> bool:
    """Whether a word with foreign marks is at home in English, as café is."""
    parts = unicodedata.normalize("NFD", word.lower())
    return "".join(part for part in parts if not unicodedata.combining(part)) in _LOAN_WORDS


def script_of(letter: str) -> str:
    """Name a letter's script by its Unicode name; "" for what is not a letter."""
    if not letter.isalpha():
        return ""
    letter = unicodedata.normalize("NFKC", letter)[0]  # of full width, or an ordinal's º
    if KANA.match(letter):
        return "KANA"
    if _HAN.match(letter):
        return "HAN"
    return unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
