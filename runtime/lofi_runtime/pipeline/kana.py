"""Hiragana and katakana to Hepburn romaji, letter by letter.

There is no dictionary here: kanji are left alone, words are not split, the particles は and へ are
read "ha" and "he", and loan words keep their Japanese sounds. を is "wo", as the model learned it.
"""

from __future__ import annotations

import re
import unicodedata

_ROWS = {
    "": "あいうえお",
    "k": "かきくけこ",
    "g": "がぎぐげご",
    "s": "さしすせそ",
    "z": "ざじずぜぞ",
    "t": "たちつてと",
    "d": "だぢづでど",
    "n": "なにぬねの",
    "h": "はひふへほ",
    "b": "ばびぶべぼ",
    "p": "ぱぴぷぺぽ",
    "m": "まみむめも",
    "r": "らりるれろ",
}
_SOUNDS = {
    kana: consonant + vowel
    for consonant, row in _ROWS.items()
    for kana, vowel in zip(row, "aiueo", strict=True)
} | {
    "し": "shi", "じ": "ji", "ち": "chi", "ぢ": "ji", "つ": "tsu", "づ": "zu", "ふ": "fu",
    "や": "ya", "ゆ": "yu", "よ": "yo", "わ": "wa", "ゐ": "i", "ゑ": "e", "を": "wo", "ん": "n",
    "ゔ": "vu", "ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o",
    "ゃ": "ya", "ゅ": "yu", "ょ": "yo", "ゎ": "wa",
    "ゕ": "ka", "ゖ": "ka",
}  # fmt: skip
_GLIDES = {"ゃ": "a", "ゅ": "u", "ょ": "o"}
_SMALL_VOWELS = {"ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o"}
_MERGING = ("te", "de", "to", "do", "shi", "chi", "ji")
_PUNCTUATION = str.maketrans(
    {"。": ". ", "、": ", ", "「": '"', "」": '"', "『": '"', "』": '"', "・": " ", "〜": "~"}
)
_SPACES = re.compile(r"\s+")
_REPEATED = re.compile(r"(.)([ゝヽゞヾ])")
_VOICING = "\u3099"

KANA = re.compile(r"[\u3041-\u3096\u309d\u309e\u30a1-\u30fa\u30fc-\u30fe\uff66-\uff9d]")
"""Matches one hiragana or katakana, of full or half width."""


def to_romaji(text: str) -> str:
    """Write the kana of `text` in lower-case Latin letters; other letters stay.

    Letters and signs of full width become those of half width, as U+FF21 becomes "A".
    """
    plain = _REPEATED.sub(_twice, unicodedata.normalize("NFKC", text)).translate(_PUNCTUATION)
    letters = [_hiragana(letter) for letter in _SPACES.sub(" ", plain).strip()]
    romaji = ""
    double = False
    for index, letter in enumerate(letters):
        if letter == "っ":
            double = True
            continue
        if letter == "ー":
            sound = romaji[-1] if romaji[-1:] in tuple("aiueo") else ""
        elif letter in _GLIDES:
            romaji, sound = _glided(romaji, letter)
        elif letter in _SMALL_VOWELS:
            romaji, sound = _merged(romaji, _SMALL_VOWELS[letter])
        else:
            sound = _SOUNDS.get(letter, letter)
            if letter == "ん" and letters[index + 1 : index + 2] and _opens(letters[index + 1]):
                sound = "n'"
        if double and sound[:1].isalpha() and sound[0] not in "aiueo":
            sound = ("t" if sound.startswith("ch") else sound[0]) + sound
        double = False
        romaji += sound
    return romaji


def _twice(found: re.Match[str]) -> str:
    """Write a repetition mark out: ゝ is the kana before it again, ゞ with its voiced sound."""
    voiced = unicodedata.normalize("NFC", found[1] + _VOICING) if found[2] in "ゞヾ" else found[1]
    return found[1] + (voiced if len(voiced) == 1 else found[1])


def _hiragana(letter: str) -> str:
    """Turn katakana into hiragana, which lie 96 code points below."""
    return chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter


def _glided(romaji: str, glide: str) -> tuple[str, str]:
    """Merge a small ya, yu or yo into the sound before: ki + ya = kya, shi + ya = sha."""
    if romaji.endswith(("shi", "chi", "ji")):
        return romaji[:-1], _GLIDES[glide]
    if romaji.endswith(("te", "de", "fu", "vu")) or (romaji.endswith("i") and len(romaji) > 1):
        return romaji[:-1], _SOUNDS[glide]
    return romaji, _SOUNDS[glide]


def _merged(romaji: str, vowel: str) -> tuple[str, str]:
    """Merge a small vowel into the sound before: fu + a = fa, u + i = wi, ku + a = kwa.

    The same vowel again only holds the sound, as in ねぇ.
    """
    if romaji.endswith(vowel):
        return romaji, vowel
    if romaji.endswith("u"):
        before = romaji[-2:-1]
        rounds = not before.isalpha() or before in "aiueokg"
        return romaji[:-1], ("w" if rounds else "") + vowel
    return (romaji[:-1] if romaji.endswith(_MERGING) else romaji), vowel


def _opens(letter: str) -> bool:
    """Whether a sound begins with a vowel or y, so that an n before it needs its apostrophe."""
    return _SOUNDS.get(letter, letter)[:1] in tuple("aiueoy")
