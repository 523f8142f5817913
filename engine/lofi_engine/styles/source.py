"""Which taxonomy a recipe uses, for stages: its folder, and what goes into their keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.recipe.model import Recipe
from lofi_runtime.styles.taxonomy import shipped_styles
from lofi_runtime.styles.vocabulary import WORDS_FOLDER


@dataclass(frozen=True)
class StylesSource:
    """Where the styles come from.

    Args:
        path: as the recipe writes it; None takes the shipped ones.
        shipped_hash: of the shipped files, "" with a path. Where the program is installed must
            not shape a stage's key, so the shipped folder is no source of a stage; this is.
    """

    path: str | None
    shipped_hash: str

    def folder(self, home: Path) -> Path:
        """Give the folder, for a recipe that lies in `home`."""
        return shipped_styles() if self.path is None else home / self.path


def styles_source(recipe: Recipe) -> StylesSource:
    """Take the taxonomy from a recipe."""
    path = recipe.dataset.styles
    return StylesSource(path, _shipped_hash() if path is None else "")


def styles_folders(recipe: Recipe) -> tuple[Path, ...]:
    """Give the recipe's own styles folder, if it has one, as a stage's source."""
    path = recipe.dataset.styles
    return () if path is None else (recipe.home / path,)


@cache
def shipped_words_hash() -> str:
    """Give a hash of the shipped vocabulary, captions and lyrics, for a stage that uses them."""
    files = sorted((shipped_styles() / WORDS_FOLDER).glob("*.yaml"))
    return hash_value({file.name: hash_file(file) for file in files})[:16]


@cache
def _shipped_hash() -> str:
    files = sorted(shipped_styles().glob("*.yaml"))
    return hash_value({file.name: hash_file(file) for file in files})[:16]
