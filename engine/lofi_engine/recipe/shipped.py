"""The recipes that come with lofi-recipe."""

from __future__ import annotations

from pathlib import Path

from lofi_runtime.shared_data import shared_folder


def shipped_recipes() -> list[Path]:
    """List the shipped recipe files by name; the one list that `ls`, hints and tests use.

    What makes a base and not a model, `NAME-base.yaml`, has verbs and a schema of its own.
    """
    files = shared_folder("recipes").glob("*.yaml")
    return sorted(file for file in files if not file.stem.endswith("-base"))


def shown(path: Path) -> str:
    """Write a path as one would type it: relative to the current folder where it lies below."""
    here = Path.cwd()
    absolute = path.absolute()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def purpose(recipe: Path) -> str:
    """Return the first line of a recipe's opening comment, which says what it makes."""
    for line in recipe.read_text(encoding="utf-8").splitlines():
        text = line.lstrip("#").strip()
        if text and not text.startswith("yaml-language-server"):
            return text if line.startswith("#") else ""
    return ""
