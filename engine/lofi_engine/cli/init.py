"""`lofi-recipe init`: write a commented recipe to start from."""

from __future__ import annotations

import sys
from pathlib import Path

from lofi_engine.recipe.template import new_recipe
from lofi_runtime.errors import LofiError


def run_init(path: Path) -> int:
    """Write a commented recipe that runs as it is, and say what to do next.

    Args:
        path: where to write it; a folder takes a `recipe.yaml`.

    Raises:
        LofiError: the file exists already, or cannot be written there.
    """
    if path.is_dir():
        path = path / "recipe.yaml"
    if path.suffix not in (".yaml", ".yml"):
        raise LofiError(f"{path}: a recipe's name ends in .yaml", hint=f"write {path}.yaml")
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(new_recipe(path))
    except FileExistsError:
        raise LofiError(f"{path}: exists already", hint="init never overwrites") from None
    except FileNotFoundError:
        raise LofiError(f"{path}: its folder does not exist", hint="make it first") from None
    except OSError as error:
        raise LofiError(f"{path}: cannot be written: {error.strerror}") from None
    sys.stdout.write(f"wrote {path}; next: lofi-recipe run {path}\n")
    return 0
