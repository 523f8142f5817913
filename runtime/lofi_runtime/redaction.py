"""Keeps what users wrote out of logs: prompts and lyrics are theirs alone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

SIGN = "<prompt>"
_HEAD = 16
"""So many signs in common and a quotation was cut, as error messages cut long ones."""
_SHORTEST = 3


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with `SIGN` in place of every secret, or of a cut one's beginning.

    A secret is found as it is and as Python quotes it. One of less than 3 signs stays: it says
    nothing, and it is in every other word.
    """
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret.strip()) >= _SHORTEST:
            text = _without(text, _forms(secret))
    return text


@lru_cache(maxsize=128)
def _forms(secret: str) -> tuple[str, ...]:
    """Give a secret as it is and as Python quotes it."""
    return secret, repr(secret)[1:-1], ascii(secret)[1:-1]


def _without(text: str, forms: tuple[str, ...]) -> str:
    for head in {form[:_HEAD] for form in forms}:
        start = text.find(head)
        while start >= 0:
            # Two ways of quoting may begin alike: what goes is what fits the longest.
            size = max(_shared(text, start, form) for form in forms)
            text = text[:start] + SIGN + text[start + size :]
            start = text.find(head, start + len(SIGN))
    return text


def _shared(text: str, start: int, form: str) -> int:
    """Count the signs that `text` from `start` on has in common with `form`."""
    size = 0
    while size < len(form) and text[start + size : start + size + 1] == form[size]:
        size += 1
    return size
