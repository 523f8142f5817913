"""How far parameters may nest and spread: what checks them may then recurse and compare freely."""

from __future__ import annotations

MAX_DEPTH = 32
"""Of arrays and maps inside each other; the protocol needs five."""
MAX_ITEMS = 64
"""In one array or map; the protocol's longest has 32. Whether the items of a longer one differ
would be found by comparing each with each."""
IMMODEST = (
    f"the parameters nest deeper than {MAX_DEPTH} or hold more than {MAX_ITEMS} items at once"
)
"""What a refusal says."""


def is_modest(value: object, depth: int = MAX_DEPTH) -> bool:
    """Whether nothing in `value` nests deeper or holds more items than allowed."""
    if not isinstance(value, dict | list):
        return True
    if depth == 0 or len(value) > MAX_ITEMS:
        return False
    parts = value.values() if isinstance(value, dict) else value
    return all(is_modest(part, depth - 1) for part in parts)
