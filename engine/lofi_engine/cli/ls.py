"""`lofi-recipe ls`: the recipes that come with lofi-recipe."""

from __future__ import annotations

import sys

from lofi_engine.recipe.shipped import purpose, shipped_recipes, shown


def run_ls() -> int:
    """Print each shipped recipe's file, as one would type it, with what it makes."""
    rows = [(shown(path), purpose(path)) for path in shipped_recipes()]
    width = max((len(file) for file, _ in rows), default=0)
    for file, makes in rows:
        sys.stdout.write(f"{file:<{width}}  {makes}\n")
    return 0
