"""`lofi-recipe data plan`: tracks still wanted per style, and what they may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lofi_engine.cli.options import AsJson, Overrides, RecipePath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lofi_engine.data.prices import Supplier
    from lofi_engine.data.wanted import WantedTracks


def data_plan(
    path: RecipePath,
    everything: Annotated[
        bool, typer.Option("--all", help="List the styles that have enough, too.")
    ] = False,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> int:
    """Say how many tracks each style still wants, what they may cost, and where to ask."""
    import json
    import sys
    from dataclasses import asdict

    from lofi_engine.cli.data.report import current_report
    from lofi_engine.data.prices import TIERS
    from lofi_engine.data.wanted import wanted_tracks
    from lofi_engine.recipe.load import load_recipe

    wanted = wanted_tracks(current_report(load_recipe(path, overrides or ())))
    if as_json:
        values = {**asdict(wanted), "tiers": [asdict(tier) for tier in TIERS]}
        sys.stdout.write(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
        return 0
    for line in _lines(wanted, everything):
        sys.stdout.write(line + "\n")
    return 0


def _lines(found: WantedTracks, everything: bool) -> Iterator[str]:
    from lofi_engine.cli.columns import in_columns

    head = ("style", "name", "wanted", "there", "missing", "USD, made to order")
    rows = [
        (
            each.id,
            each.name,
            str(each.wanted),
            str(each.tracks),
            str(each.missing),
            _range(each.cost_usd),
        )
        for each in found.styles
        if each.missing or everything
    ]
    if rows:
        total = ("total", "", "", "", str(found.missing), _range(found.ordered_usd))
        yield from in_columns([head, *rows, total], numbers=(2, 3, 4, 5))
        yield ""
    if not found.missing:
        yield "every style has the tracks it should have"
        return
    yield (
        f"{_range(found.mixed_usd)} USD with half of them made to order and the rest from "
        "libraries, Creative Commons and partners"
    )
    if found.left_usd is not None and found.affordable is not None:
        low, high = found.affordable
        yield f"{found.left_usd:,.2f} USD of the budget are left: {low} to {high} made to order"
        if found.left_usd < found.mixed_usd[0]:
            yield "that is less than even the lower end; raise dataset.budget or want fewer tracks"
    yield ""
    yield from _tiers()


def _tiers() -> Iterator[str]:
    from lofi_engine.data.prices import TIERS

    for tier in TIERS:
        yield f"{tier.type}: {', '.join(_supplier(supplier) for supplier in tier.suppliers)}"
        yield f"  {tier.note}"


def _supplier(supplier: Supplier) -> str:
    if supplier.price_usd is None:
        return f"{supplier.name} (by agreement)"
    price = "free" if not any(supplier.price_usd) else f"{_range(supplier.price_usd)} USD a "
    return f"{supplier.name} ({price if price == 'free' else price + supplier.per})"


def _range(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
