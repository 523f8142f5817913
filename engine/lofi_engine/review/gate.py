"""Who may talk to the page: this machine's browser, from the page itself, with the token.

A page on 127.0.0.1 can be reached by every web site the user visits. The token in the address
keeps out who does not know it; the Host header keeps out names that were pointed at this machine
(DNS rebinding); Origin and Sec-Fetch-Site keep out other sites' scripts.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

ADDRESS = "127.0.0.1"
_NAMES = (ADDRESS, "localhost")


def new_token() -> str:
    """Make a token of 192 random bits, fit for an address."""
    return secrets.token_urlsafe(24)


def refusal(headers: Mapping[str, str], port: int) -> str:
    """Say why a request's headers are not this page's, "" where they are."""
    hosts = {f"{name}:{port}" for name in _NAMES} | ({*_NAMES} if port == 80 else set())
    host = headers.get("Host", "")
    if host.lower() not in hosts:
        return "this address is not the one that was printed"
    origin = headers.get("Origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return "requests from other pages are not answered"
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return "requests from other pages are not answered"
    return ""


def split_token(path: str, token: str) -> str | None:
    """Take `/<token>/` off a path; None where it is not there."""
    given, slash, rest = path.removeprefix("/").partition("/")
    if not slash or not hmac.compare_digest(given.encode(), token.encode()):
        return None
    return rest
