"""The credit lines of CC BY: title, author, source, licence (TASL), as Creative Commons advises."""

from __future__ import annotations

from lofi_engine.data.license_names import creative_commons, deed_url, spoken_license


def asks_for_credit(license_name: str) -> bool:
    """Whether a tidied licence asks for credit by its name: every CC BY does."""
    return creative_commons(license_name) is not None


def built_credit(
    license_name: str, *, artist: str, title: str = "", url: str = "", license_url: str = ""
) -> str:
    """Build a credit line; "" where the licence asks for none or no artist is named.

    Args:
        license_name: tidied.
        artist: who made it.
        title: what it is called; CC BY 4.0 asks for it only where it was given.
        url: where it was found.
        license_url: where the terms can be read; Creative Commons' own page when left out.
    """
    if not artist or not asks_for_credit(license_name):
        return ""
    work = f'"{title}" by {artist}' if title else f"A track by {artist}"
    where = f" ({url})" if url else ""
    terms = license_url or deed_url(license_name)
    under = f"{spoken_license(license_name)} ({terms})" if terms else spoken_license(license_name)
    return f"{work}{where}, {under}"
