from __future__ import annotations

import pytest

from lofi_runtime.styles.prompts import (
    MAX_PROMPT_BYTES,
    describe_unknown,
    expand_style,
    join_tags,
    tempo_tags,
    typical_tags,
)
from lofi_runtime.styles.taxonomy import CATEGORIES, Style, load_styles

STYLES = load_styles()


def categories(style: Style, prompt: str) -> list[str]:
    """Give the category of each tag, in the prompt's order."""
    homes = {tag: category for category, tags in style.tags.items() for tag in tags}
    return [homes.get(tag, "tempo") for tag in prompt.split(", ")]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_prompt_has_every_category_in_the_templates_order(style):
    for seed in range(20):
        prompt = expand_style(style, seed)
        found = categories(style, prompt)
        assert found == sorted(found, key=CATEGORIES.index)
        assert set(found) == set(CATEGORIES)
        tags = prompt.split(", ")
        assert len(tags) == len(set(tags))
        assert set(style.always) <= set(tags)
        assert len(prompt.encode()) <= MAX_PROMPT_BYTES
        assert (tags[-1] == "instrumental") is not style.vocal


def test_equal_seeds_give_equal_prompts_on_any_machine():
    assert expand_style(STYLES["CORE-01"], 7) == (
        "lofi hip hop, chill, nostalgic, boom bap drums, rhodes, bass guitar, 78 bpm, "
        "vinyl crackle, tape saturation, urban, instrumental"
    )
    assert len({expand_style(STYLES["CORE-01"], seed) for seed in range(50)}) > 40


def test_the_typical_tags_are_the_first_listed_and_what_a_style_always_has():
    assert typical_tags(STYLES["CORE-01"]) == (
        "lofi hip hop, chill, relaxing, boom bap drums, piano, rhodes, vinyl crackle, "
        "tape saturation, late night, instrumental"
    )
    for style in STYLES.values():
        assert set(style.always) <= set(typical_tags(style).split(", "))


def test_drawn_tempos_lie_in_the_styles_range():
    style = STYLES["CORE-04"]
    for seed in range(50):
        bpm = [tag for tag in expand_style(style, seed).split(", ") if tag.endswith(" bpm")]
        assert 110 <= int(bpm[0].removesuffix(" bpm")) <= 120


def test_a_found_tempo_and_a_given_voice_are_used():
    prompt = expand_style(STYLES["CORE-01"], 1, tempo_bpm=77.6, vocals="vocals")
    assert ", 78 bpm, " in prompt
    assert prompt.endswith(", vocals")
    assert " bpm" not in expand_style(STYLES["CORE-01"], 1, tempo_bpm=0.0)


def test_far_tempos_have_a_word():
    assert tempo_tags(62.4) == ["slow tempo", "62 bpm"]
    assert tempo_tags(85) == ["85 bpm"]
    assert tempo_tags(115) == ["uptempo", "115 bpm"]


def test_of_a_track_without_style_only_what_is_known_is_said():
    assert describe_unknown(81.0) == "lofi, 81 bpm, instrumental"
    assert describe_unknown(0.0, vocals="vocals") == "lofi, vocals"


def test_tags_are_joined_once_each_and_trimmed():
    assert (
        join_tags("jazz lofi,  calm,\n piano,calm,, 82\tbpm\n") == "jazz lofi, calm, piano, 82 bpm"
    )
    assert join_tags(["a", " b ", "a"]) == "a, b"
    assert join_tags("") == ""
