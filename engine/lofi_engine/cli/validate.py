"""`lofi-recipe validate`: check recipes without running anything."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.load import load_recipe


def run_validate(paths: Iterable[Path]) -> int:
    """Check each recipe; print `ok` for the good ones and every problem of the others.

    Args:
        paths: the recipe files.

    Returns:
        0 when all are right, else 1.
    """
    code = 0
    for path in paths:
        try:
            recipe = load_recipe(path)
        except RecipeError as error:
            sys.stderr.write(f"{error}\n")
            code = 1
        else:
            sys.stdout.write(f"{path}: ok ({recipe.name} {recipe.release})\n")
    return code
