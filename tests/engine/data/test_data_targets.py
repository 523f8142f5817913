from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.data.targets import (
    TARGET_MIX,
    apportion,
    target_warnings,
    wanted_by_group,
    wanted_by_style,
)
from lofi_engine.recipe.model import Budget
from lofi_runtime.styles.taxonomy import load_styles
from tests.support.recipes import make_recipe

FACTS = {"tracks": 2, "cost_usd": 80.5}


def test_too_few_tracks_and_too_much_money_are_told(tmp_path):
    dataset = replace(make_recipe(tmp_path).dataset, target_tracks=10, budget=Budget(50.0))
    assert target_warnings(FACTS, dataset) == (
        "2 of the 10 tracks wanted are there",
        "the tracks cost 80.50 USD by their ledgers, dataset.budget.max_usd is 50.00",
    )


def test_what_is_reached_or_not_asked_is_not_told(tmp_path):
    dataset = make_recipe(tmp_path).dataset
    assert target_warnings(FACTS, dataset) == ()
    reached = replace(dataset, target_tracks=2, budget=Budget(80.5))
    assert target_warnings(FACTS, reached) == ()


def test_the_specification_s_mix_is_500_tracks():
    assert TARGET_MIX == {
        "core": 200,
        "seasonal": 100,
        "thematic": 50,
        "instrumental": 100,
        "vocal": 50,
    }
    assert wanted_by_group(load_styles().values(), 500) == TARGET_MIX


@pytest.mark.parametrize("total", [0, 1, 7, 38, 499, 500, 501, 12345])
def test_shares_add_up_to_the_whole_and_are_even_within_a_group(total):
    styles = load_styles()
    wanted = wanted_by_style(styles.values(), total)
    assert sum(wanted.values()) == total
    for group in TARGET_MIX:
        shares = [wanted[style.id] for style in styles.values() if style.group == group]
        assert max(shares) - min(shares) <= 1


def test_a_taxonomy_without_a_group_gives_its_share_to_the_others():
    styles = [style for style in load_styles().values() if style.group in ("core", "vocal")]
    assert wanted_by_group(styles, 100) == {"core": 80, "vocal": 20}
    assert wanted_by_style([], 100) == {}


def test_the_largest_remainder_gets_the_odd_one():
    assert apportion(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
