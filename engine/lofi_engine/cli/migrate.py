"""`lofi-recipe migrate`: bring a recipe of an older format to the current one."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from pathlib import Path

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.document import read_text
from lofi_engine.recipe.load import load_text
from lofi_engine.recipe.migrate import migrate_text
from lofi_engine.recipe.version import FORMAT
from lofi_runtime.atomic import replacing
from lofi_runtime.errors import LofiError


def run_migrate(path: Path, write: bool = False) -> int:
    """Show the change as a unified diff, or make it.

    Args:
        path: the recipe.
        write: replace the file (in one step, keeping its mode) in place of showing the diff.

    Raises:
        RecipeError: it holds what cannot be migrated; each line says where.
        LofiError: the file cannot be replaced.
    """
    text = read_text(path)
    migrated, changes = migrate_text(text, str(path))
    if not changes:
        sys.stdout.write(f"{path}: already version {FORMAT}\n")
        return 0
    _refuse_unless_it_loads(migrated, path)
    if not write:
        sys.stdout.write(_diff(text, migrated, str(path)))
        return 0
    _replace(path, migrated)
    for change in changes:
        sys.stdout.write(f"{path}: {change}\n")
    return 0


def _refuse_unless_it_loads(migrated: str, path: Path) -> None:
    try:
        load_text(migrated, path)
    except RecipeError as error:
        head = f"{path}: not migrated: mend these first (named and placed as after the migration)"
        raise RecipeError([head, *error.problems]) from None


def _diff(old: str, new: str, name: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), name, f"{name} (migrated)"
    )
    whole = (
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    return "".join(whole)


def _replace(path: Path, text: str) -> None:
    target = path.resolve()  # a link keeps pointing where it did
    try:
        with replacing(target) as aside, aside.open("wb") as file:
            shutil.copymode(target, aside)  # before the text: it may be nobody else's
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LofiError(f"{path}: cannot be replaced: {error.strerror}") from None
