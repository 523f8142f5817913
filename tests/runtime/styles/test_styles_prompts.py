from __future__ import annotations

import pytest

from lofi_runtime.styles.prompts import (
    MAX_PROMPT_BYTES,
    Heard,
    describe_heard,
    describe_unknown,
    expand_style,
    join_tags,
    shuffle_tags,
    style_tags,
    tempo_tags,
    typical_tags,
    write_prompt,
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


def test_what_was_heard_stands_in_the_templates_places():
    heard = Heard(tempo_bpm=66.0, key="D dorian", brightness="dark")
    assert write_prompt(STYLES["CORE-01"], 7, heard) == (
        "lofi hip hop, chill, nostalgic, dark, boom bap drums, rhodes, bass guitar, slow tempo, "
        "66 bpm, D dorian, vinyl crackle, tape saturation, urban, instrumental"
    )


def test_an_estimate_that_contradicts_the_style_is_left_out():
    heard = Heard(tempo_bpm=70.0, key="C major", brightness="bright")
    tags = write_prompt(STYLES["CORE-06"], 1, heard).split(", ")
    assert "minor key" in tags
    assert "C major" not in tags
    assert "bright" not in tags


def test_a_drawn_tag_that_contradicts_the_sound_is_left_out():
    style = STYLES["CORE-05"]
    slow = [expand_style(style, seed, tempo_bpm=66.0).split(", ") for seed in range(40)]
    assert any("upbeat" in expand_style(style, seed).split(", ") for seed in range(40))
    assert not any("upbeat" in tags for tags in slow)
    assert all("slow tempo" in tags for tags in slow)
    counts = {sum(tag in style.tags["mood"] for tag in tags) for tags in slow}
    assert counts == {2}


def test_a_listeners_tags_are_never_left_out_and_say_the_voice():
    heard = Heard(tempo_bpm=80.0, tags=("kalimba", "female vocals", "breathy", "my own word"))
    prompt = write_prompt(STYLES["INST-01"], 3, heard)
    tags = prompt.split(", ")
    assert set(heard.tags) <= set(tags)
    assert "instrumental" not in tags
    assert tags[-2:] == ["female vocals", "breathy"]
    assert tags.index("kalimba") < tags.index("80 bpm") < tags.index("my own word")


def test_further_styles_add_what_they_always_have_where_it_agrees():
    heard = Heard(tempo_bpm=80.0)
    with_city = write_prompt(STYLES["VOCAL-02"], 3, heard, [STYLES["THEME-05"]])
    assert "city night" in with_city.split(", ")
    with_summer = write_prompt(STYLES["SEASON-01"], 3, heard, [STYLES["SEASON-04"]])
    assert "summer" not in with_summer.split(", ")


def test_of_a_track_without_style_what_was_heard_and_said_is_told():
    heard = Heard(tempo_bpm=62.0, key="A minor", brightness="warm", tags=("jazz lofi", "humming"))
    assert describe_heard(heard) == "jazz lofi, warm, slow tempo, 62 bpm, A minor, humming"


def test_shuffled_tags_are_the_same_tags_in_another_order():
    prompt = expand_style(STYLES["CORE-01"], 7)
    orders = {shuffle_tags(prompt, seed) for seed in range(30)}
    assert len(orders) == 30
    assert all(sorted(one.split(", ")) == sorted(prompt.split(", ")) for one in orders)
    assert shuffle_tags("a, b, c, d", 1) == shuffle_tags("d,c , b,a, a", 1)
    assert shuffle_tags("", 1) == ""
    assert shuffle_tags("piano", 5) == "piano"


def test_what_a_style_adds_to_a_prompt_neither_repeats_nor_contradicts_it():
    style = STYLES["SEASON-06"]
    added = style_tags(style, "rain sounds, female vocals, lofi beats", 4).split(", ")
    assert "rainy" not in style_tags(style, "Rain", 4).split(", ")
    assert not {"rain ambience", "instrumental", "lofi hip hop"} & set(added)
    assert "rainy" in added
    assert len(style_tags(style, "x" * 990, 4).encode()) <= 10
    assert style_tags(style, "piano trio at home", 4).endswith("instrumental")
