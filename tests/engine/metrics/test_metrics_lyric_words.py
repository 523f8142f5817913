from __future__ import annotations

import pytest

from lofi_engine.metrics.lyric_words import sung_words, words_of


@pytest.mark.parametrize(
    ("lyrics", "words"),
    [
        ("[Verse 1]\nRain on the  roof\n\n[Chorus]\nrain", "rain on the roof rain"),
        ("[Instrumental]", ""),
        ("[inst]\n(ooh, ooh)\n*vinyl crackle*\n（啊）", ""),
        ("(hey) you (there)", "hey you there"),
        ("Don't stop — it’s 3 a.m.!", "don't stop it's 3 a m"),
        ("rock 'n' roll, lovin'", "rock n roll lovin"),
        ("ＬＯＦＩ Straße CAFÉ", "lofi strasse café"),
        ("夜の雨 lofi beats", "夜 の 雨 lofi beats"),
        ("lofiの夜", "lofi の 夜"),
        ("สวัสดี", "ส วั ส ดี"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("안녕 하세요", "안녕 하세요"),
        ("", ""),
    ],
)
def test_lyrics_become_the_words_that_are_sung(lyrics: str, words: str) -> None:
    assert " ".join(sung_words(lyrics)) == words


def test_what_was_heard_is_taken_as_it_is() -> None:
    assert words_of("(Hey) [you]") == ("hey", "you")


def test_letters_written_in_one_piece_or_two_are_the_same() -> None:
    assert words_of("cafe\u0301 が") == words_of("café か\u3099")
