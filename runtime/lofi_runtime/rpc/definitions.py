"""What `schemas/rpc.v1.schema.json` says, read without the library that checks against it.

The schema is the only place that states a default or a limit.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from lofi_runtime.shared_data import shared_folder

PROTOCOL_VERSION = 1


@cache
def load_schema() -> dict[str, Any]:
    """Read the protocol's schema, once."""
    path = shared_folder("schemas") / "rpc.v1.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def method_names() -> list[str]:
    """Return every method the schema defines, aliases left out."""
    return list(load_schema()["properties"]["methods"]["properties"])


def notification_names() -> list[str]:
    """Return every notification the schema defines."""
    return list(load_schema()["properties"]["notifications"]["properties"])


def definition(group: str, name: str, part: str) -> dict[str, Any]:
    """Return the schema of one part of a call.

    Args:
        group: "methods" or "notifications".
        name: the method or notification.
        part: "params" or "result".
    """
    found = load_schema()["properties"][group]["properties"][name]["properties"][part]
    return dict(found)


def parameters(method: str) -> dict[str, dict[str, Any]]:
    """Return a method's parameters, each with its own rule and the one it refers to."""
    params = _resolve(definition("methods", method, "params"))
    return {name: _resolve(rule) for name, rule in params.get("properties", {}).items()}


@cache
def limits() -> dict[str, dict[str, dict[str, Any]]]:
    """Return method -> parameter -> limits, as `capabilities` tells them."""
    told = {"type": "type", "default": "default", "minimum": "minimum", "maximum": "maximum"}
    told |= {"maxBytes": "max_bytes", "enum": "choices", "examples": "examples"}
    return {
        method: {
            name: {told[key]: rule[key] for key in told if key in rule}
            for name, rule in parameters(method).items()
        }
        for method in method_names()
        if parameters(method)
    }


def _resolve(rule: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in rule:
        return rule
    target = load_schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    return {**target, **{key: value for key, value in rule.items() if key != "$ref"}}
