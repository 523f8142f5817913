"""Where licensed tracks can be had and what they cost (specification, phase 1.2 and its budget).

Prices are of early 2025, in US dollars; every library's terms must be asked about training first.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Supplier:
    """Where one can ask.

    Args:
        name: its name.
        price_usd: lowest and highest price; None where it is agreed upon.
        per: what that buys: "track" or "year".
    """

    name: str
    price_usd: tuple[float, float] | None
    per: str = "track"


@dataclass(frozen=True)
class Tier:
    """One way of acquiring tracks.

    Args:
        type: the ledger's word for it.
        track_share: the share of a finished set that the budget has come this way; 0 where the
            budget names no number.
        track_usd: lowest and highest price of a track in the budget.
        fees_usd: lowest and highest of what the budget pays at once, however many tracks come.
        suppliers: where to ask.
        note: what to look out for.
    """

    type: str
    track_share: float
    track_usd: tuple[float, float]
    fees_usd: tuple[float, float]
    suppliers: tuple[Supplier, ...]
    note: str


TIERS = (
    Tier(
        type="commissioned",
        track_share=0.5,  # 250 of 500
        track_usd=(30.0, 100.0),
        fees_usd=(0.0, 0.0),
        suppliers=(
            Supplier("Fiverr Pro", (50.0, 150.0)),
            Supplier("SoundBetter", (100.0, 300.0)),
            Supplier("artists asked directly", (30.0, 100.0)),
        ),
        note="put the right to train into the contract; lossless masters, exactly the style wanted",
    ),
    Tier(
        type="royalty-free",
        track_share=0.0,
        track_usd=(0.0, 0.0),
        fees_usd=(500.0, 2000.0),
        suppliers=(
            Supplier("Epidemic Sound", (299.0, 299.0), "year"),
            Supplier("Artlist", (199.0, 199.0), "year"),
            Supplier("Uppbeat", (99.0, 99.0), "year"),
            Supplier("Pond5", (20.0, 50.0)),
            Supplier("Musicbed", (500.0, 2000.0), "year"),
        ),
        note="most libraries' standard terms do not allow training: have it in writing",
    ),
    Tier(
        type="creative-commons",
        track_share=0.0,
        track_usd=(0.0, 0.0),
        fees_usd=(0.0, 0.0),
        suppliers=(
            Supplier("Free Music Archive", (0.0, 0.0)),
            Supplier("ccMixter", (0.0, 0.0)),
            Supplier("Bandcamp", (0.0, 0.0)),
            Supplier("SoundCloud", (0.0, 0.0)),
        ),
        note="each track's own licence counts; NC, SA and ND bind the model",
    ),
    Tier(
        type="partnership",
        track_share=0.0,
        track_usd=(0.0, 0.0),
        fees_usd=(2000.0, 10000.0),
        suppliers=(
            Supplier("Lofi Girl", None),
            Supplier("Chillhop Music", None),
            Supplier("College Music", None),
            Supplier("Dreamhop Music", None),
            Supplier("single producers", None),
        ),
        note="a letter to start from: lofi-recipe data outreach",
    ),
)

COMMISSIONED = TIERS[0]
