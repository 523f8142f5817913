"""A short request becomes a full prompt: of a style that suits it, with the tags it names."""

from __future__ import annotations

import pytest

from lofi_runtime.styles.prompts import MAX_PROMPT_BYTES
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.styles.vocabulary import load_vocabulary
from lofi_runtime.styles.writer import TaxonomyWriter

STYLES = load_styles()


@pytest.fixture(scope="module")
def writer() -> TaxonomyWriter:
    return TaxonomyWriter(STYLES)


@pytest.mark.parametrize(
    ("request_text", "style"),
    [
        ("christmas morning with sleigh bells", "SEASON-02"),
        ("SEASON-06", "SEASON-06"),
        ("something for a study session", "THEME-03"),
    ],
)
def test_a_request_gets_the_style_it_shares_most_words_with(writer, request_text, style):
    assert writer.write(request_text, seed=1).style == style


def test_what_the_request_names_is_in_the_prompt_whatever_the_style(writer):
    found = writer.write("acoustic guitar by the sea, 92 bpm", 3, STYLES["SEASON-01"])
    tags = found.prompt.split(", ")
    assert found.style == "SEASON-01"
    assert {"acoustic guitar", "92 bpm"} <= set(tags)
    assert not [tag for tag in tags if tag.endswith(" bpm") and tag != "92 bpm"]


@pytest.mark.parametrize("seed", range(5))
def test_a_request_without_a_word_of_a_voice_gets_none(writer, seed):
    assert not STYLES[writer.write("zzz qqq", seed).style].vocal


def test_equal_requests_and_seeds_give_equal_prompts_and_other_seeds_others(writer):
    one = [TaxonomyWriter(load_styles()).write("rainy night coding", 7) for _ in range(2)]
    assert one[0] == one[1] == writer.write("rainy night coding", 7)
    prompts = {writer.write("rainy night coding", seed).prompt for seed in range(8)}
    assert len(prompts) > 4


def test_every_tag_is_known_and_none_stands_twice(writer):
    words = load_vocabulary().with_styles(STYLES.values())
    for seed, request_text in enumerate(("rain", "jazz piano", "sunny beach", "tokyo at night")):
        tags = writer.write(request_text, seed).prompt.split(", ")
        assert len(set(tags)) == len(tags) >= 8
        assert all(words.meaning(tag) for tag in tags), tags


def test_a_request_of_a_thousand_bytes_stays_within_a_prompts_limit(writer):
    long = ", ".join(sorted({tag for style in STYLES.values() for tag in style.tags["mood"]}))
    found = writer.write(long[:1000], 1)
    assert len(found.prompt.encode()) <= MAX_PROMPT_BYTES
