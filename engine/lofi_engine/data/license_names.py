"""Licences by name: written the one way, and Creative Commons ones taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN_LICENSE = "unknown"
"""What stands for terms that nobody has named yet."""

_CC0 = ("cc0-1.0", "cc-zero", "cc-0", "cc-0-1.0", "cc-zero-1.0")
_DEED = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([^?#]*)")
_LONG = (
    ("creative-commons-", "cc-"),
    ("attribution", "by"),
    ("noncommercial", "nc"),
    ("non-commercial", "nc"),
    ("share-alike", "sa"),
    ("sharealike", "sa"),
    ("no-derivatives", "nd"),
    ("noderivatives", "nd"),
    ("noderivs", "nd"),
    ("-nd-nc", "-nc-nd"),  # as 1.0 wrote them
    ("-sa-nc", "-nc-sa"),
)
_FILLING = re.compile(r"-(?:international|universal|unported|generic|(?:public-)?licen[cs]e)\b")
_CC = re.compile(r"cc-(by(?:-nc)?(?:-sa|-nd)?)(?:-([1-4]\.\d))?(?:-([a-z]{2,6}))?")


@dataclass(frozen=True)
class CreativeCommons:
    """A Creative Commons licence taken apart.

    Args:
        terms: "by", "by-sa", "by-nc", "by-nc-sa", "by-nd" or "by-nc-nd".
        version: such as (4, 0); None where the name has none.
    """

    terms: str
    version: tuple[int, int] | None


def tidy_license(license_name: str) -> str:
    """Write a licence's name the one way: lower case, hyphens ("CC BY 4.0" is "cc-by-4.0").

    Creative Commons' own long names and the addresses of its deeds are written the short way too.
    """
    plain = license_name.strip().lower()
    deed = _DEED.match(plain)
    if deed:
        parts = [part for part in deed[2].split("/") if part and not part.startswith("deed")]
        if deed[1] == "publicdomain":
            return "cc0" if parts[:1] == ["zero"] else "public-domain"
        return "-".join(["cc", *parts])
    tidied = re.sub(r"[\s_-]+", "-", plain)
    if tidied.startswith(("creative-commons-", "cc-", "cc0")):
        for long, short in _LONG:
            tidied = tidied.replace(long, short)
        tidied = _FILLING.sub("", tidied)
        tidied = re.sub(r"^cc-cc-", "cc-", tidied)
    return "cc0" if tidied in _CC0 else tidied


def creative_commons(license_name: str) -> CreativeCommons | None:
    """Take a tidied name apart; None for CC0 and all that is not Creative Commons."""
    found = _CC.fullmatch(license_name)
    if not found:
        return None
    version = found[2]
    return CreativeCommons(found[1], (int(version[0]), int(version[2])) if version else None)


def spoken_license(license_name: str) -> str:
    """Write a tidied name for people: "cc-by-nc-4.0" is "CC BY-NC 4.0"."""
    license_parts = creative_commons(license_name)
    if license_parts is None:
        return "CC0 1.0" if license_name == "cc0" else license_name
    version = license_parts.version
    number = f" {version[0]}.{version[1]}" if version else ""
    return f"CC {license_parts.terms.upper()}{number}"


def deed_url(license_name: str) -> str:
    """Give the address of a Creative Commons licence's text, "" where the name has no version."""
    license_parts = creative_commons(license_name)
    if license_parts is None or license_parts.version is None:
        return ""
    major, minor = license_parts.version
    found = _CC.fullmatch(license_name)
    country = f"{found[3]}/" if found and found[3] else ""
    return f"https://creativecommons.org/licenses/{license_parts.terms}/{major}.{minor}/{country}"
