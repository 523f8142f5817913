"""The recipe that `lofi-recipe init` writes."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from lofi_engine.recipe.scalars import resolve_plain
from lofi_engine.recipe.schema import SCHEMA_FILE
from lofi_runtime.shared_data import shared_folder

_TEMPLATE = Path(__file__).parent / "templates" / "recipe.yaml"
_NAME_LENGTH = 60


def new_recipe(path: Path) -> str:
    """Return a commented recipe to be written to `path`, named after the file."""
    text = _TEMPLATE.read_text(encoding="utf-8")
    here = path.absolute().parent
    schema = Path(os.path.relpath(shared_folder("schemas") / SCHEMA_FILE, here)).as_posix()
    for word, meaning in {
        "SCHEMA": schema,
        "NAME": name_from(path),
        "FILE": shlex.quote(str(path)),
    }.items():
        text = text.replace(f"@{word}@", meaning)
    return text


def name_from(path: Path) -> str:
    """Return a recipe's name made of a file's name; one that YAML reads as text."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:_NAME_LENGTH].strip("-")
    if not name or name == "recipe":
        return "my-recipe"
    return name if isinstance(resolve_plain(name), str) else f"my-{name}"
