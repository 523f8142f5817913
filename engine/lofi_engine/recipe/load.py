"""The way in: a recipe file to a checked `Recipe`, or to every problem at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lofi_engine.recipe.build import build_recipe, resolve
from lofi_engine.recipe.check import cross_problems
from lofi_engine.recipe.document import parse_document, read_text
from lofi_engine.recipe.explain import schema_problems
from lofi_engine.recipe.model import Recipe
from lofi_engine.recipe.overrides import with_overrides
from lofi_engine.recipe.version import FORMAT, format_of


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, check and build the recipe at `path`.

    Args:
        path: the file; relative paths in the recipe start at its folder.
        overrides: `key.path=value`, each in place of what the file says; values are YAML.

    Raises:
        RecipeError: it cannot be read, is of another format, or is wrong; every problem on its own
            line, in the order of the file, which is named as given here.
    """
    return load_text(read_text(path), path, overrides)


def load_text(text: str, path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Check and build a recipe from its text; `path` is where it lies, or would lie.

    `Recipe.text` is the text as written, `Recipe.resolved` has the overrides in it and
    `Recipe.changes` lists them as typed.

    Raises:
        RecipeError: as `load_recipe`.
    """
    document = with_overrides(parse_document(text, str(path)), overrides)
    if (version := format_of(document)) != FORMAT:
        is_old = "is missing" if document.node(("version",)) is None else f"{version} is old"
        message = f"{is_old}; run `lofi-recipe migrate {path} --write`"
        raise document.error([*document.problems, document.problem(("version",), message)])
    resolved = resolve(document.value())
    problems = [
        *document.problems,
        *schema_problems(document),
        *cross_problems(document, resolved),
    ]
    if problems:
        raise document.error(problems)
    return build_recipe(path, text, resolved, overrides)
