"""How many files, and so how many clients' connections, this process may have open."""

from __future__ import annotations

import sys

RESERVED = 128
"""For the worker's pipes, the store's files, libraries, and connections about to be refused."""


def raise_limit(wanted: int) -> int:
    """Ask for room for `wanted` connections; returns for how many there is room, 8 at least.

    The soft limit is only ever raised, within the hard one: macOS begins with 256, which an editor
    that starts a server passes on.
    """
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        # macOS has another limit below the hard one.
        allowed = soft
    return max(8, min(wanted, allowed - RESERVED))
