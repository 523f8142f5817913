"""Hiragana and katakana to Hepburn romaji, letter by letter.

There is no dictionary here: kanji are left alone, words are not split, the particle は is read
"ha", and loan words keep their Japanese sounds.
"""

from __future__ import annotations

import re

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
    "や": "ya", "ゆ": "yu", "よ": "yo", "わ": "wa", "ゐ": "i", "ゑ": "e", "を": "o", "ん": "n",
    "ゔ": "vu", "ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o",
    "ゃ": "ya", "ゅ": "yu", "ょ": "yo", "ゎ": "wa",
}  # fmt: skip
_GLIDES = {"ゃ": "a", "ゅ": "u", "ょ": "o"}
_SMALL_VOWELS = {"ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o"}
_MERGING = ("u", "te", "de", "to", "do", "shi", "chi", "ji")
_PUNCTUATION = str.maketrans("。、！？「」『』・　〜", '.,!?""""  -')

KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc]")
"""Matches one hiragana or katakana."""


def to_romaji(text: str) -> str:
    """Write the kana of `text` in lower-case Latin letters; everything else stays."""
    letters = [_hiragana(letter) for letter in text.translate(_PUNCTUATION)]
    romaji = ""
    double = False
    for index, letter in enumerate(letters):
        if letter == "っ":
            double = True
            continue
        if letter == "ー":
            sound = romaji[-1] if romaji[-1:] in tuple("aiueo") else ""
        elif letter in _GLIDES or letter in _SMALL_VOWELS:
            romaji, sound = _joined(romaji, letter)
        else:
            sound = _SOUNDS.get(letter, letter)
            if letter == "ん" and letters[index + 1 : index + 2] and _opens(letters[index + 1]):
                sound = "n'"
        if double and sound[:1].isalpha() and sound[0] not in "aiueo":
            sound = ("t" if sound.startswith("ch") else sound[0]) + sound
        double = False
        romaji += sound
    return romaji


def _hiragana(letter: str) -> str:
    """Turn katakana into hiragana, which lie 96 code points below."""
    return chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter


def _joined(romaji: str, letter: str) -> tuple[str, str]:
    """Merge a small kana into the sound before it: ki + ya = kya, shi + ya = sha, fu + a = fa."""
    if letter in _SMALL_VOWELS:
        vowel = _SMALL_VOWELS[letter]
        merges = romaji.endswith(_MERGING) and not romaji.endswith(vowel)
        return (romaji[:-1] if merges else romaji), vowel
    if romaji.endswith(("shi", "chi", "ji")):
        return romaji[:-1], _GLIDES[letter]
    if romaji.endswith("i") and len(romaji) > 1:
        return romaji[:-1], _SOUNDS[letter]
    return romaji, _SOUNDS[letter]


def _opens(letter: str) -> bool:
    """Whether a sound begins with a vowel or y, so that an n before it needs its apostrophe."""
    return _SOUNDS.get(letter, letter)[:1] in tuple("aiueoy")
