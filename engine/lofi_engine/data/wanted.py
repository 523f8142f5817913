"""Tracks still wanted per style and what they may cost, by the specification's budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lofi_engine.data.prices import COMMISSIONED, TIERS
from lofi_engine.data.report import Report


@dataclass(frozen=True)
class Wanted:
    """One style.

    Args:
        id: the style's.
        name: for a human.
        group: core, seasonal, ...
        wanted: tracks the finished set should have.
        tracks: tracks that enter today.
        missing: how many are still wanted.
        cost_usd: lowest and highest price of these, made to order.
    """

    id: str
    name: str
    group: str
    wanted: int
    tracks: int
    missing: int
    cost_usd: tuple[float, float]


@dataclass(frozen=True)
class WantedTracks:
    """What is still wanted in all.

    Args:
        styles: every style, in the taxonomy's order.
        missing: the sum over the styles; a style that has more than it needs helps no other.
        ordered_usd: lowest and highest price with all of them made to order.
        mixed_usd: the same with half of them made to order and the rest by subscriptions,
            Creative Commons and agreements, each fee paid once, as the specification's budget.
        left_usd: what the budget has left; None without a budget. Negative once overspent.
        affordable: lowest and highest number of tracks to order that `left_usd` pays for.
    """

    styles: tuple[Wanted, ...]
    missing: int
    ordered_usd: tuple[float, float]
    mixed_usd: tuple[float, float]
    left_usd: float | None
    affordable: tuple[int, int] | None


def wanted_tracks(found: Report) -> WantedTracks:
    """Work out what a report's styles still lack."""
    styles = tuple(
        Wanted(
            id=style.id,
            name=style.name,
            group=style.group,
            wanted=style.wanted,
            tracks=style.tracks,
            missing=(missing := max(0, style.wanted - style.tracks)),
            cost_usd=_ordered(missing),
        )
        for style in found.styles
    )
    missing = sum(style.missing for style in styles)
    left = None if found.max_usd is None else round(found.max_usd - found.paid_usd, 2)
    low, high = COMMISSIONED.track_usd
    return WantedTracks(
        styles=styles,
        missing=missing,
        ordered_usd=_ordered(missing),
        mixed_usd=_mixed(missing),
        left_usd=left,
        affordable=None if left is None else (_for(left, high), _for(left, low)),
    )


def _ordered(tracks: int) -> tuple[float, float]:
    low, high = COMMISSIONED.track_usd
    return tracks * low, tracks * high


def _mixed(tracks: int) -> tuple[float, float]:
    if not tracks:
        return 0.0, 0.0
    low, high = _ordered(math.ceil(tracks * COMMISSIONED.track_share))
    return low + sum(tier.fees_usd[0] for tier in TIERS), high + sum(t.fees_usd[1] for t in TIERS)


def _for(money_usd: float, price_usd: float) -> int:
    return max(0, math.floor(money_usd / price_usd))
