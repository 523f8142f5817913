import dataclasses
import types
import typing
from collections.abc import Mapping

import pytest
from jsonschema import Draft202012Validator

from lofi_engine.recipe.build import OF_THE_FILE
from lofi_engine.recipe.explain import EXPLAINED
from lofi_engine.recipe.model import Gate, Recipe
from lofi_engine.recipe.schema import all_keys, expand, fill_defaults, keys_of, recipe_schema

DERIVED = {"publish.model_name"}
"""Keys whose default is made of another key's value, so that the schema cannot state it."""

LEAVES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def parts(schema, path=""):
    """Every value's schema, with where it stands."""
    schema = expand(schema)
    yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{key}".lstrip("."))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], f"{path}.*")


ALL_PARTS = list(parts(recipe_schema()))


def test_the_schema_is_a_valid_schema():
    Draft202012Validator.check_schema(dict(recipe_schema()))


def test_every_key_is_described():
    for path, schema in ALL_PARTS:
        if not path.endswith("*") or schema["type"] == "object":
            assert len(schema.get("description", "")) > 10, path


def test_every_mapping_names_its_keys_or_the_kind_of_its_values():
    for path, schema in ALL_PARTS:
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False or "properties" not in schema, path
            assert isinstance(schema["additionalProperties"], bool | dict), path


def test_every_number_text_and_list_is_bounded():
    for path, schema in ALL_PARTS:
        if schema["type"] in ("integer", "number") and not {"enum", "const"} & schema.keys():
            assert schema.keys() & {"minimum", "exclusiveMinimum"}, path
            assert "maximum" in schema, path
        if schema["type"] == "string":
            bounded = {"enum", "maxLength"} & schema.keys() or "{0,62}" in schema["pattern"]
            assert bounded, path
        if schema["type"] == "array":
            assert "maxItems" in schema, path


def test_every_default_is_allowed_where_it_stands():
    defaults = [(path, schema) for path, schema in ALL_PARTS if "default" in schema]
    assert len(defaults) > 40
    for path, schema in defaults:
        whole = {**schema, "$defs": recipe_schema()["$defs"]}
        errors = list(Draft202012Validator(whole).iter_errors(schema["default"]))
        assert not errors, path


def test_every_pattern_says_in_words_what_it_wants():
    for path, schema in ALL_PARTS:
        assert ("pattern" in schema) == ("patternErrorMessage" in schema), path


def test_every_keyword_that_can_fail_has_its_sentence():
    silent = {
        "$schema", "$id", "$defs", "$ref", "title", "description", "default", "properties",
        "items", "propertyNames", "errorMessage", "patternErrorMessage",
    }  # fmt: skip
    used = {keyword for _, schema in ALL_PARTS for keyword in schema}
    assert used - silent == EXPLAINED


def test_types_and_schema_agree_in_every_field():
    seen = set()
    compare(Recipe, recipe_schema(), "", seen)
    named = {path for path, _ in ALL_PARTS if path and not path.endswith("*")}
    assert {path for path in seen if not path.endswith("*")} == named


def compare(kind, schema, above, seen):
    schema = expand(schema)
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}
    if kind is Recipe:
        fields -= OF_THE_FILE
    assert fields == set(schema["properties"]), above
    for name in fields:
        path = f"{above}.{name}".lstrip(".")
        seen.add(path)
        part = expand(schema["properties"][name])
        always = name in schema.get("required", ()) or "default" in part or path in DERIVED
        hint, optional = without_none(hints[name])
        assert optional != always, f"{path}: None in the type must mean no default in the schema"
        compare_value(hint, part, path, seen)


def compare_value(hint, schema, path, seen):
    schema = expand(schema)
    if hint is Gate:
        assert schema["additionalProperties"]["type"] == "number", path
    elif dataclasses.is_dataclass(hint):
        assert schema["type"] == "object", path
        compare(hint, schema, path, seen)
    elif typing.get_origin(hint) is tuple:
        assert schema["type"] == "array", path
        compare_value(typing.get_args(hint)[0], schema["items"], f"{path}.*", seen)
    elif typing.get_origin(hint) is Mapping:
        assert schema["type"] == "object", path
        value = schema["additionalProperties"]
        compare_value(typing.get_args(hint)[1], value, f"{path}.*", seen)
    else:
        assert LEAVES[hint] == schema["type"], path


def without_none(hint):
    if isinstance(hint, types.UnionType):
        (inner,) = [part for part in hint.__args__ if part is not types.NoneType]
        return inner, True
    return hint, False


def test_keys_are_listed_with_where_they_belong():
    listed = dict(all_keys())
    assert listed["alpha"] == "lora.alpha"
    assert listed["tracks"] == "dataset.sources[].synth.tracks"
    assert listed["keep_fp16"] == "variants.NAME.keep_fp16"


def test_defaults_are_filled_in_all_the_way_down():
    filled = fill_defaults({"training": {"steps": 3}}, recipe_schema())
    assert filled["training"]["sampling"] == {
        "by": "style",
        "shuffle_tags": True,
        "recaption_share": 0.3,
    }
    assert filled["lora"]["targets"][0] == "speaker_embedder"
    assert "dataset" not in filled


def test_numbers_take_the_schemas_type_however_they_were_typed():
    filled = fill_defaults(
        {"variants": {"a": {"max_bytes": 2.5e9}}, "lora": {"alpha": 8}}, recipe_schema()
    )
    assert repr(filled["variants"]["a"]["max_bytes"]) == "2500000000"
    assert repr(filled["lora"]["alpha"]) == "8.0"


def test_keys_come_in_the_schemas_order_whatever_the_files():
    one = fill_defaults({"name": "a", "version": 1}, recipe_schema())
    other = fill_defaults({"version": 1, "name": "a"}, recipe_schema())
    assert list(one) == list(other) == [key for key in keys_of(recipe_schema()) if key in one]


@pytest.mark.parametrize("value", [None, 3, "x", [1], {"a": {"b": float("inf")}}])
def test_what_does_not_fit_is_passed_through(value):
    assert fill_defaults(value, {"type": "integer"}) == value
