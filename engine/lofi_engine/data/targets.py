"""What the recipe wants of its tracks without refusing any: how many, of what, for how much money.

Kept out of curate's settings, so that changing a budget makes nothing again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lofi_engine.recipe.model import Dataset
from lofi_runtime.styles.taxonomy import Style

TARGET_MIX: Mapping[str, int] = {
    "core": 200,
    "seasonal": 100,
    "thematic": 50,
    "instrumental": 100,
    "vocal": 50,
}
"""Tracks wanted of each group of styles (specification, phase 1.1): 500, about 25 hours."""

DEFAULT_TARGET_TRACKS = sum(TARGET_MIX.values())


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


def wanted_by_group(styles: Iterable[Style], total: int) -> dict[str, int]:
    """Share a number of tracks out over the taxonomy's groups, in the proportions of `TARGET_MIX`.

    Groups without a style get none; the sum is exactly `total`.
    """
    present = {style.group for style in styles}
    return apportion(total, {name: n for name, n in TARGET_MIX.items() if name in present})


def wanted_by_style(styles: Iterable[Style], total: int) -> dict[str, int]:
    """Share the same number out over the styles, evenly within each group."""
    listed = list(styles)
    wanted: dict[str, int] = {}
    for group, number in wanted_by_group(listed, total).items():
        wanted |= apportion(number, {style.id: 1 for style in listed if style.group == group})
    return wanted


def apportion(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Share `total` out by weights in whole numbers (largest remainder; ties to the first)."""
    whole = sum(weights.values())
    if not whole:
        return {}
    exact = {name: total * weight / whole for name, weight in weights.items()}
    shares = {name: math.floor(value) for name, value in exact.items()}
    left = total - sum(shares.values())
    for name in sorted(exact, key=lambda name: shares[name] - exact[name])[:left]:
        shares[name] += 1
    return shares
