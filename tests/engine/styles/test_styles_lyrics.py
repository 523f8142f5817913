from __future__ import annotations

from lofi_engine.styles.lyrics import INSTRUMENTAL_LYRICS, tidy_lyrics
from lofi_runtime.pipeline.lyrics import is_instrumental


def test_no_words_are_instrumental():
    for text in ("", "  \n", "[instrumental]", " [Instrumental]\n", "[inst]"):
        assert is_instrumental(text)
        assert tidy_lyrics(text) == INSTRUMENTAL_LYRICS
    assert not is_instrumental("[Verse]\nla")


def test_lyrics_are_tidied_without_losing_words():
    text = "\r\n[Verse]\r\ncafe\u0301 \r\n\r\n\r\n\r\n夜の雨\n[Outro]\n\n"
    assert tidy_lyrics(text) == "[Verse]\ncafé\n\n夜の雨\n[Outro]"
