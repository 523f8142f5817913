from __future__ import annotations

import json
from pathlib import Path

import pytest

from lofi_runtime.pipeline import japanese
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


def words(text):
    spelled = [letters(word) for word in text.split(" ")]
    return [token for word in spelled for token in [*word, SPACE]][:-1]


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


def test_english_is_spelled_as_in_the_reference(tokenizer):
    """A fixture's text, whose own ids belong to a vocabulary that is not at hand everywhere."""
    _tag, sung = GOLDEN["symbols"]["text"].split("\n", 1)
    assert tokenizer.encode_lines(sung) == [
        START,
        EN, *words("(ambient sounds, vinyl crackle)"), SPACE,
        EN, *words("it's three o'clock and i can't sleep at eighty-five bpm"), SPACE,
    ]  # fmt: skip


@pytest.mark.parametrize("case", sorted(GOLDEN))
def test_the_reference_opens_and_closes_lines_where_this_does(tokenizer, case):
    theirs, ours = GOLDEN[case]["ids"], tokenizer.encode_lines(GOLDEN[case]["text"])
    assert ours[0] == theirs[0] == START
    assert ours[-1] == theirs[-1] == SPACE
    assert ours.count(EN) == theirs.count(EN)
    assert ours.count(SPACE) == theirs.count(SPACE)


def test_numbers_and_symbols_are_written_out(tokenizer):
    assert tokenizer.encode("2 & 1st") == tokenizer.encode("two and first")


@pytest.mark.parametrize("tag", ["[verse]", "[Verse]", "[VERSE]", " [Verse] "])
def test_structure_tags_are_tokens_of_their_own_in_any_case(tokenizer, tag):
    assert tokenizer.encode(f"la\n{tag}\nla") == [
        START, EN, *letters("la"), SPACE, EN, VERSE, SPACE, EN, *letters("la"), SPACE,
    ]  # fmt: skip


def test_a_line_that_begins_with_a_tag_is_read_as_english_whatever_follows(tokenizer):
    assert tokenizer.encode("[Verse] 2")[:3] == [START, EN, VERSE]
    assert JA not in tokenizer.encode("[Verse] しゃしん")


def test_empty_lines_are_line_ends_alone(tokenizer):
    assert tokenizer.encode("la\n\n \n\nla") == [
        START, EN, *letters("la"), SPACE, SPACE, SPACE, SPACE, EN, *letters("la"), SPACE,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ('Où est le n. 2 & 3 ? "Dr."  Été', "où est le n. 2 & 3 ? dr. été"),
        ("Mañana a las 10", "mañana a las 10"),
        ("Большой 5", "большой 5"),
        ("I met you at the café at 5", "i met you at the café at five"),
        ("She's so naïve, Chloë & me", "she's so naïve, chloë and me"),
    ],
)
def test_only_english_is_written_out_in_english(tokenizer, line, spelled):
    expected = tokenizer._tokenizer.encode(f"[en]{spelled}".replace(" ", "[SPACE]")).ids
    assert tokenizer.encode(line) == [START, *expected, SPACE]


def test_other_languages_in_latin_letters_are_named_by_their_first_line(tokenizer):
    said = "lyrics: only English and Japanese are supported; read as if they were English: "
    assert tokenizer.warnings("[Verse]\nhello\nÜber den Fluß") == (f"{said}'Über den Fluß'",)
    assert tokenizer.warnings("Où es-tu\nthe café\nÇa va\nløs") == (f"{said}'Où es-tu' and 2 more",)
    assert tokenizer.warnings("the café in May, señorita, 5 °C") == ()
    (long,) = tokenizer.warnings("où es-tu " * 30)
    assert long == f"{said}'{'où es-tu ' * 6}où...'"
    assert tokenizer.warnings("Ｌｉｇｈｔｓ, the 1º") == (f"{said}'Ｌｉｇｈｔｓ, the 1º'",)


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


def test_what_will_be_lost_is_said(tokenizer, monkeypatch):
    monkeypatch.setattr(japanese, "reads_kanji", lambda: False)
    assert tokenizer.warnings("夜の雨 мир hello") == (
        "lyrics: kanji will not be sung; to have them read, install lofi-recipe[japanese]",
        "lyrics: Cyrillic letters are not supported and will not be sung",
    )
    assert tokenizer.warnings("春天 안녕") == (
        "lyrics: Chinese letters are not supported and will not be sung",
        "lyrics: Hangul letters are not supported and will not be sung",
    )


def test_a_broken_vocabulary_is_refused():
    with pytest.raises(ValueError, match="not a tokenizer"):
        LyricTokenizer("[]")
