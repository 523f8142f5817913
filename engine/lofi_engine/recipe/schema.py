"""The contract, `schemas/recipe.v1.schema.json`: loaded once, and asked about keys and defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from lofi_runtime.atomic import read_json
from lofi_runtime.shared_data import shared_folder

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Schema = Mapping[str, Any]

_NO_KEYS: Schema = {"type": "null"}

SCHEMA_FILE = "recipe.v1.schema.json"


@cache
def recipe_schema() -> Schema:
    """Return the recipe's JSON Schema."""
    schema: Schema = read_json(shared_folder("schemas") / SCHEMA_FILE)
    return schema


@cache
def validator() -> Validator:
    """Return a validator of whole recipes."""
    from jsonschema import Draft202012Validator, validators

    kind = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"pattern": _pattern}
    )
    made: Validator = kind(recipe_schema())
    return made


def expand(schema: Schema) -> Schema:
    """Follow a `$ref` into `$defs`; keywords beside it win."""
    if "$ref" not in schema:
        return schema
    target = recipe_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**expand(target), **{key: value for key, value in schema.items() if key != "$ref"}}


def keys_of(schema: Schema) -> dict[str, Schema]:
    """Return the named keys a mapping may have, each with its schema."""
    return {key: expand(part) for key, part in expand(schema).get("properties", {}).items()}


def all_keys(schema: Schema | None = None, above: str = "") -> Iterator[tuple[str, str]]:
    """Yield every named key of the format with where it belongs, as `("r", "lora.r")`."""
    for key, part in keys_of(schema or recipe_schema()).items():
        yield key, above + key
        yield from all_keys(part, f"{above}{key}.")
        yield from all_keys(part.get("items", _NO_KEYS), f"{above}{key}[].")
        if isinstance(free := part.get("additionalProperties"), dict):
            yield from all_keys(free, f"{above}{key}.NAME.")


def fill_defaults(value: Any, schema: Schema) -> Any:
    """Return `value` with every default filled in and every number of the schema's own type.

    Keys come in the schema's order, so that equal recipes give equal JSON however they were typed.
    What does not fit the schema is passed through as it is.
    """
    schema = expand(schema)
    if isinstance(value, dict):
        return _fill_mapping(value, schema)
    if isinstance(value, list):
        return [fill_defaults(item, schema.get("items", {})) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if schema.get("type") == "integer" and value == int(value):
        return int(value)
    return float(value) if schema.get("type") == "number" else value


def _fill_mapping(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    properties = keys_of(schema)
    for key, part in properties.items():
        if key in value:
            filled[key] = fill_defaults(value[key], part)
        elif "default" in part:
            filled[key] = fill_defaults(part["default"], part)
    others = schema.get("additionalProperties")
    for key in value.keys() - properties.keys():
        filled[key] = fill_defaults(value[key], others if isinstance(others, dict) else {})
    # Free keys keep the order of the file, which is the order users read tables in.
    return {key: filled[key] for key in [*properties, *value] if key in filled}


def _pattern(_validator: Any, pattern: str, instance: Any, schema: Schema) -> Iterator[Exception]:
    """Match as JSON Schema means it: in ECMAScript `$` is the very end, in Python it is not."""
    from jsonschema import ValidationError

    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")
