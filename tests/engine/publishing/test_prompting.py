from __future__ import annotations

import re

import pytest

from lofi_engine.publishing.prompting import prompting_guide
from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import CATEGORIES, GROUPS, load_styles


@pytest.fixture(scope="module")
def styles():
    return load_styles()


def test_every_style_has_its_line_and_a_real_prompt(styles):
    guide = prompting_guide(styles, seed=3)
    assert len(styles) == 38
    for style in styles.values():
        low, high = style.tempo_bpm
        head = f"**{style.id} {style.name}** ({low}-{high} bpm): {style.description}"
        assert f"{head}\n\n    {expand_style(style, 3)}\n" in guide


def test_the_examples_people_would_write_stand_below_the_drawn_one(styles):
    guide = prompting_guide(styles, seed=3)
    examples = [example for style in styles.values() for example in style.examples]
    assert len(examples) >= len(styles)
    for example in examples:
        assert f"\n    {example}\n" in guide


def test_styles_stand_below_their_groups_in_order(styles):
    guide = prompting_guide(styles, seed=3)
    assert re.findall(r"^## (.+)$", guide, re.MULTILINE) == [group.capitalize() for group in GROUPS]
    for part, group in zip(guide.split("\n## ")[1:], GROUPS, strict=True):
        expected = [style.id for style in styles.values() if style.group == group]
        assert re.findall(r"^\*\*(\S+) ", part, re.MULTILINE) == expected


def test_the_template_s_order_is_the_one_prompts_are_made_in(styles):
    guide = prompting_guide(styles, seed=3)
    assert "{genre}, {mood}, {instruments}, {tempo}" in guide
    assert guide.count("{") == len(CATEGORIES)


def test_the_seed_decides_the_examples(styles):
    assert prompting_guide(styles, 3) == prompting_guide(styles, 3)
    assert prompting_guide(styles, 3) != prompting_guide(styles, 4)
