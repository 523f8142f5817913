"""Prompts of a pair differ in one tag, and pieces are sorted by what is true of them."""

from __future__ import annotations

import pytest

from lofi_engine.base_quality.tags import TAGS
from lofi_engine.base_quality.vocals import other_voice
from lofi_runtime.synth import compose

RAIN, CRACKLE, LEADING, MODE, _ = TAGS
PROMPT = (
    "lofi hip hop, dreamy, rhodes, flute, bass guitar, boom bap drums, 80 bpm, D dorian, "
    "vinyl crackle, rain ambience, late night, instrumental"
)


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.name)
def test_both_prompts_of_a_pair_say_the_same_but_for_one_tag(tag):
    one, other = (set(tag.ask(PROMPT, answer).split(", ")) for answer in tag.answers)
    assert one != other
    assert len(one ^ other) <= 2


def test_rain_and_crackle_are_put_in_or_taken_out():
    assert "rain ambience" in RAIN.ask(PROMPT, "with rain")
    assert "rain" not in RAIN.ask(PROMPT, "without rain")
    assert "crackle" not in CRACKLE.ask(PROMPT, "without vinyl crackle")


def test_the_leading_instrument_replaces_all_others_but_the_bass():
    asked = LEADING.ask(PROMPT, "piano").split(", ")
    assert "piano" in asked
    assert "bass guitar" in asked
    assert not {"rhodes", "flute", "acoustic guitar"} & set(asked)


def test_a_key_keeps_its_tonic_and_takes_the_mode():
    assert "D minor" in MODE.ask(PROMPT, "minor")
    assert "D major" in MODE.ask(PROMPT, "major")
    assert "A major" in MODE.ask("lofi hip hop, piano, instrumental", "major")


def test_pieces_are_sorted_by_what_is_heard_in_them():
    wet = compose("rain, piano, A minor, no crackle", seed=1, duration_sec=10.0)
    dry = compose("acoustic guitar, C major", seed=1, duration_sec=10.0)
    assert [tag.of(wet) for tag in (RAIN, LEADING, MODE)] == ["with rain", "piano", "minor"]
    assert [tag.of(dry) for tag in (RAIN, MODE)] == ["without rain", "major"]


def test_a_man_is_asked_for_in_place_of_a_woman_and_a_woman_in_place_of_others():
    assert other_voice("lofi, female vocal sample") == "lofi, male vocal sample"
    assert other_voice("lofi, humming, wordless vocals") == "lofi, female vocal sample"
