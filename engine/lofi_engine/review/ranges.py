"""Parts of a file over HTTP: the `Range` header of RFC 9110, section 14."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class UnsatisfiableRange(Exception):  # noqa: N818 - an answer (416), not a failure of ours
    """Nothing of the file lies in the range asked for."""


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Give the first byte and the one after the last that a client asks for.

    Args:
        header: of the request; None where there is none.
        size: of the file, bytes.

    Returns:
        None for the whole file: no header, another unit, or several ranges, which a server may
        answer with everything.

    Raises:
        UnsatisfiableRange: the range begins behind the end.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:  # the last so many bytes
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise UnsatisfiableRange
    return start, stop
