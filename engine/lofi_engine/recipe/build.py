"""Checked values to the frozen types of `model`; defaults come from the schema alone."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from lofi_engine.recipe.model import Gate, Recipe
from lofi_engine.recipe.schema import fill_defaults, recipe_schema

OF_THE_FILE = frozenset({"path", "text", "resolved", "changes"})
"""Fields of `Recipe` that come from the file and the command line, not from a key."""


def resolve(values: Mapping[str, object]) -> dict[str, Any]:
    """Return a recipe's values with every default filled in, as JSON values."""
    given = dict(values)
    publish = given.get("publish")
    if isinstance(publish, dict) and "name" in given:
        given["publish"] = {"model_name": given["name"], **publish}
    resolved: dict[str, Any] = fill_defaults(given, recipe_schema())
    return resolved


def build_recipe(
    path: Path, text: str, resolved: Mapping[str, Any], changes: Sequence[str] = ()
) -> Recipe:
    """Build the typed recipe from resolved values that passed every check."""
    fields = _fields(Recipe, resolved)
    return Recipe(path=path, text=text, resolved=resolved, changes=tuple(changes), **fields)


def _fields(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {
        name: build_value(hint, values.get(name))
        for name, hint in hints.items()
        if not (kind is Recipe and name in OF_THE_FILE)
    }


def build_value(hint: Any, value: Any) -> Any:
    """Build a value of a type from plain JSON values: dataclasses, tuples, maps, or as it is.

    Args:
        hint: the type, such as `Recipe` or `tuple[str, ...]`; its values passed every check.
        value: mappings, lists and scalars.
    """
    if value is None:
        return None
    if isinstance(hint, types.UnionType):
        hint = next(part for part in hint.__args__ if part is not types.NoneType)
    origin = typing.get_origin(hint)
    if hint is Gate:
        return Gate(bounds=dict(value))
    if origin is tuple:
        return tuple(build_value(typing.get_args(hint)[0], item) for item in value)
    if origin is Mapping:
        inner = typing.get_args(hint)[1]
        return {key: build_value(inner, item) for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return hint(**_fields(hint, value))
    return value
