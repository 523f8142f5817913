"""Turns what JSON Schema finds into sentences for people, placed in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.recipe.document import Document
from lofi_engine.recipe.migrations import renamed_to
from lofi_engine.recipe.problems import Path, Problem, closest, did_you_mean, listed, quoted
from lofi_engine.recipe.scalars import resolve_plain
from lofi_engine.recipe.schema import all_keys, keys_of, validator

if TYPE_CHECKING:
    from jsonschema import ValidationError

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
}
_SPOKEN_BOOLEANS = {
    "yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One departure: the value at `path` breaks the rule `keyword: rule` of `schema`.

    `of_key` is true where the value is a key's own name.
    """

    path: Path
    value: Any
    keyword: str
    rule: Any
    schema: Mapping[str, Any]
    of_key: bool


def schema_problems(document: Document) -> list[Problem]:
    """List everything in which the recipe departs from the schema."""
    findings = [_finding(error) for error in validator().iter_errors(_any(document.value()))]
    mistyped = {found.path for found in findings if found.keyword == "type"}
    problems: list[Problem] = []
    for found in findings:
        above = (found.path[:length] for length in range(len(found.path) + 1))
        # Of a value of the wrong type, every other complaint is noise.
        noise = found.keyword != "type" and found.path in mistyped
        if not noise and document.broken.isdisjoint(above):
            problems.extend(_EXPLAIN[found.keyword](found, document))
    return problems


def _finding(error: ValidationError) -> Finding:
    return Finding(
        path=tuple(error.absolute_path),
        value=error.instance,
        keyword=str(error.validator),
        rule=error.validator_value,
        schema=_any(error.schema),
        of_key="propertyNames" in error.absolute_schema_path,
    )


def _any(value: Any) -> Any:
    """Pass a value between types that say the same in different words."""
    return value


def _type(found: Finding, document: Document) -> Iterator[Problem]:
    value, expected = found.value, str(found.rule)
    kind = _KINDS[expected]
    if value is None:
        yield document.problem(
            found.path, f"is empty; give {kind}, or remove the line", at_key=True
        )
        return
    typed = document.shown(found.path)
    pattern = found.schema.get("pattern")
    if pattern and not isinstance(value, dict | list) and not re.search(pattern, typed):
        # `release: 1.0` is a number, but quotes alone would not make it a version.
        yield document.problem(found.path, f"{typed} {found.schema['patternErrorMessage']}")
        return
    hint = _type_hint(value, expected, found.schema)
    yield document.problem(found.path, f"{typed} is not {kind}{hint}")


def _type_hint(value: object, expected: str, schema: Mapping[str, Any]) -> str:
    if isinstance(value, str):
        if expected in ("integer", "number"):
            return _number_hint(value)
        if expected == "boolean" and (spoken := _SPOKEN_BOOLEANS.get(value.lower())):
            return f"; write {spoken}"
        if expected == "boolean" and value.lower() in ("true", "false"):
            return "; write it without quotes"
    if expected == "string" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if expected == "array" and not isinstance(value, dict):
        return "; put it in brackets"
    if expected == "object" and (keys := list(keys_of(schema))):
        return f" ({', '.join(keys)})"
    return ""


def _number_hint(text: str) -> str:
    bare = text.strip().replace("_", "").replace(",", "")
    try:
        number = resolve_plain(bare)
    except ValueError:
        return ""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return ""
    return "; write it without quotes" if bare == text else f"; write {bare}"


def _enum(found: Finding, document: Document) -> Iterator[Problem]:
    allowed = [str(value) for value in found.rule]
    value = document.shown(found.path)
    hint = did_you_mean(found.value, allowed) if isinstance(found.value, str) else ""
    yield document.problem(found.path, f"{value} is not allowed here ({', '.join(allowed)}){hint}")


def _limit(words: str) -> _Explainer:
    def explain(found: Finding, document: Document) -> Iterator[Problem]:
        value = document.shown(found.path)
        yield document.problem(found.path, f"{value} is {words} {found.rule}")

    return explain


def _length(words: str) -> _Explainer:
    def explain(found: Finding, document: Document) -> Iterator[Problem]:
        at_key = isinstance(found.value, dict)
        message = words.format(count=len(found.value), limit=found.rule)
        yield document.problem(found.path, message, at_key=at_key)

    return explain


def _pattern(found: Finding, document: Document) -> Iterator[Problem]:
    message = f"{quoted(found.value)} {found.schema['patternErrorMessage']}"
    if found.of_key:
        yield document.problem((*found.path, found.value), message, at_key=True)
    else:
        yield document.problem(found.path, message)


def _required(found: Finding, document: Document) -> Iterator[Problem]:
    # One error comes for each missing key, naming it only in prose; a report says things once.
    for key in found.rule:
        if key not in found.value:
            about = str(keys_of(found.schema)[key].get("description", ""))
            what = re.split(r"[.:;,]", about)[0]
            yield document.problem((*found.path, key), f"is missing ({what[:1].lower()}{what[1:]})")


def _unknown(found: Finding, document: Document) -> Iterator[Problem]:
    allowed = list(keys_of(found.schema))
    for key in found.value:
        if key not in allowed:
            hint = _meant(found.path, key, allowed)
            yield document.problem((*found.path, key), f"unknown key{hint}", at_key=True)


def _meant(path: Path, key: str, allowed: list[str]) -> str:
    """Say which key was meant: one of format 0, one near by, or the same word elsewhere."""
    near = renamed_to((*path, key)) or closest(key, allowed)
    if near:
        return f"; did you mean '{near}'?"
    elsewhere = [whole for name, whole in all_keys() if name == key]
    if key in elsewhere:
        return " here; it belongs to the top level, not indented"
    if elsewhere:
        return f" here; did you mean {listed(repr(whole) for whole in elsewhere[:3])}?"
    return f"; allowed here: {', '.join(allowed)}"


def _twice(found: Finding, document: Document) -> Iterator[Problem]:
    for index, item in enumerate(found.value):
        if isinstance(item, str) and item in found.value[:index]:
            yield document.problem(
                (*found.path, index), f"{quoted(item)} is listed twice; keep one"
            )


def _either(found: Finding, document: Document) -> Iterator[Problem]:
    if isinstance(found.value, dict):
        both = all(key in found.value for part in found.rule for key in part["required"])
        message = str(found.schema["errorMessage"])
        yield document.problem(found.path, f"{message}, not both" if both else message)


def _version(found: Finding, document: Document) -> Iterator[Problem]:
    yield document.problem(found.path, f"must be {found.rule}")


_Explainer = Callable[[Finding, Document], Iterator[Problem]]

_EXPLAIN: dict[str, _Explainer] = {
    "type": _type,
    "const": _version,
    "enum": _enum,
    "minimum": _limit("less than the minimum of"),
    "maximum": _limit("more than the maximum of"),
    "exclusiveMinimum": _limit("too small; it must be more than"),
    "maxLength": _length("has {count} characters; {limit} are allowed"),
    "minItems": _length("is an empty list; give at least {limit} entry"),
    "maxItems": _length("has {count} entries; {limit} are allowed"),
    "minProperties": _length("is empty; give at least {limit} entry"),
    "uniqueItems": _twice,
    "pattern": _pattern,
    "required": _required,
    "additionalProperties": _unknown,
    "oneOf": _either,
}

EXPLAINED = frozenset(_EXPLAIN)
"""Keywords the schema may use; a test holds the schema to them."""
