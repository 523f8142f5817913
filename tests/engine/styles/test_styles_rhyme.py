from __future__ import annotations

import pytest

from lofi_engine.styles.rhyme import line_end, rhyme_scheme


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rain", "same"), ("home", "alone"), ("lights", "night"), ("glow", "slow"),
        ("out", "doubt"), ("free", "me"), ("flow", "low"), ("sky", "high"), ("moon", "soon"),
        ("day", "grey"), ("door", "floor"), ("more", "before"), ("fire", "desire"),
        ("hold", "cold"), ("fly", "goodbye"), ("mind", "find"), ("love", "above"),
        ("town", "down"), ("eyes", "skies"), ("blue", "through"), ("memory", "melody"),
        ("heart", "apart"), ("café's", "cafés"),
    ],
)  # fmt: skip
def test_words_that_rhyme_end_alike(one, other):
    assert line_end(f"I see the {one},", "en") == line_end(f"(oh) and {other}!", "en") != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("rain", "night"), ("moon", "book"), ("love", "move"), ("low", "now"), ("sit", "seat")],
)
def test_words_that_do_not_rhyme_end_otherwise(one, other):
    assert line_end(one, "en") != line_end(other, "en")


def test_japanese_lines_rhyme_on_their_last_vowel():
    assert line_end("まどのむこう あめがふる", "ja") == line_end("コーヒーさめる。", "ja") == "u"
    assert line_end("きみとおもん", "ja") == "n"
    assert line_end("…", "ja") == ""


def test_a_line_without_words_rhymes_with_nothing():
    assert line_end("...", "en") == ""
    assert rhyme_scheme(["", ""]) == "none"


@pytest.mark.parametrize(
    ("ends", "scheme"),
    [
        ("aabb", "AABB"), ("abab", "ABAB"), ("aaaa", "AAAA"), ("abba", "none"), ("abcd", "none"),
        ("aabbccdd", "AABB"), ("aabbcdcd", "none"), ("aa", "AA"), ("ab", "none"), ("aab", "none"),
        ("", "none"),
    ],
)  # fmt: skip
def test_the_scheme_is_named(ends, scheme):
    assert rhyme_scheme(list(ends)) == scheme
