from __future__ import annotations

from lofi_engine.training.sample_prompts import LYRICS, choose_prompts
from lofi_runtime.styles.taxonomy import GROUPS, find_style, load_styles


def test_every_group_has_one_prompt_of_its_first_style():
    prompts = choose_prompts([])
    assert [(one.group, one.style) for one in prompts] == list(
        zip(GROUPS, ("CORE-01", "SEASON-01", "THEME-01", "INST-01", "VOCAL-01"), strict=True)
    )
    assert all(one.tracks == 0 for one in prompts)


def test_the_style_most_trained_on_stands_for_its_group():
    ids = ["CORE-02", "CORE-03", "CORE-03", "my-own", "VOCAL-05", "SEASON-01"]
    chosen = {one.group: (one.style, one.tracks) for one in choose_prompts(ids)}
    assert chosen == {
        "core": ("CORE-03", 2),
        "seasonal": ("SEASON-01", 1),
        "thematic": ("THEME-01", 0),
        "instrumental": ("INST-01", 0),
        "vocal": ("VOCAL-05", 1),
    }


def test_prompts_are_the_same_every_time_and_say_what_the_style_always_has():
    styles = load_styles()
    for one, again in zip(choose_prompts([]), choose_prompts([]), strict=True):
        assert one == again
        tags = one.prompt.split(", ")
        assert set(find_style(styles, one.style).always) <= set(tags)
        assert any(tag.endswith(" bpm") for tag in tags)


def test_styles_with_a_voice_sing_where_the_base_can():
    assert [one.lyrics for one in choose_prompts([])] == ["", "", "", "", LYRICS]
    assert [one.lyrics for one in choose_prompts([], lyrics="")] == [""] * 5
