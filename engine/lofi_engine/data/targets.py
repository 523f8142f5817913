"""What the recipe wants of its tracks without refusing any: how many, and for how much money.

Kept out of curate's settings, so that changing a budget makes nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lofi_engine.recipe.model import Dataset


def target_warnings(facts: Mapping[str, Any], dataset: Dataset) -> tuple[str, ...]:
    """Say where the curated set falls short of the recipe's targets, one line each.

    Args:
        facts: curate's, with `tracks` and `cost_usd`.
        dataset: the recipe's, with `target_tracks` and `budget`.
    """
    warnings = []
    tracks, cost_usd = facts["tracks"], facts["cost_usd"]
    if dataset.target_tracks is not None and tracks < dataset.target_tracks:
        warnings.append(f"{tracks} of the {dataset.target_tracks} tracks wanted are there")
    if dataset.budget is not None and cost_usd > dataset.budget.max_usd:
        warnings.append(
            f"the tracks cost {cost_usd:.2f} USD by their ledgers, dataset.budget.max_usd is "
            f"{dataset.budget.max_usd:.2f}"
        )
    return tuple(warnings)
