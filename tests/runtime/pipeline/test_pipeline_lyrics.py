from __future__ import annotations

import json
from pathlib import Path

import pytest

from lofi_runtime.pipeline.lyrics import LyricTokenizer, is_instrumental
from tests.support.tiny_bundle import tiny_lyric_vocabulary_json

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "lyric_tokens_en.json").read_text(encoding="utf-8")
)
VOCABULARY = (
    Path(__file__).resolve().parents[4] / "shared" / "data" / "ace_step_v1_lyric_vocab.json"
)
EN, SPACE, START, JA, VERSE = 259, 2, 261, 262, 270


@pytest.fixture(scope="module")
def tokenizer():
    return LyricTokenizer(tiny_lyric_vocabulary_json())


def letters(text):
    return ["abcdefghijklmnopqrstuvwxyz'.,?!-()".index(letter) + 10 for letter in text]


@pytest.mark.skipif(not VOCABULARY.exists(), reason="the real vocabulary is not at hand")
@pytest.mark.parametrize("case", sorted(GOLDEN))
def test_english_lyrics_equal_the_reference(case):
    tokenizer = LyricTokenizer(VOCABULARY.read_text(encoding="utf-8"))
    assert tokenizer.encode_lines(GOLDEN[case]["text"]) == GOLDEN[case]["ids"]


def test_lines_open_with_their_language_and_close_with_a_line_end(tokenizer):
    assert tokenizer.encode("[Verse]\nHi you\n\nok") == [
        START,
        EN, VERSE, SPACE,
        EN, *letters("hi"), SPACE, *letters("you"), SPACE,
        SPACE,
        EN, *letters("ok"), SPACE,
    ]  # fmt: skip


def test_numbers_and_symbols_are_written_out(tokenizer):
    assert tokenizer.encode("2 & 1st") == tokenizer.encode("two and first")


@pytest.mark.parametrize("lyrics", ["", "  \n", "[Instrumental]", "[inst]", " [INSTRUMENTAL]\n"])
def test_an_instrumental_is_one_zero(tokenizer, lyrics):
    assert is_instrumental(lyrics)
    assert tokenizer.encode(lyrics) == [0]
    assert tokenizer.warnings(lyrics) == ()


def test_a_tag_among_lyrics_is_not_an_instrumental():
    assert not is_instrumental("[inst]\n[verse]\nla la")


def test_kana_lines_are_spelled_in_japanese(tokenizer):
    assert tokenizer.encode("しゃしん") == [START, JA, *letters("shashin"), SPACE]
    assert tokenizer.warnings("しゃしん") == ()


def test_what_will_be_lost_is_said(tokenizer):
    assert tokenizer.warnings("夜の雨 мир hello") == (
        "lyrics: Chinese Or Japanese letters are not supported and will not be sung",
        "lyrics: Cyrillic letters are not supported and will not be sung",
    )


def test_a_broken_vocabulary_is_refused():
    with pytest.raises(ValueError, match="not a tokenizer"):
        LyricTokenizer("[]")
