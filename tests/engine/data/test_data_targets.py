from __future__ import annotations

from dataclasses import replace

from lofi_engine.data.targets import target_warnings
from lofi_engine.recipe.model import Budget
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
