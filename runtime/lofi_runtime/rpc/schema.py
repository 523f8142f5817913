"""Checks parameters against `schemas/rpc.v1.schema.json` and fills in its defaults."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from lofi_runtime.rpc.definitions import definition, load_schema, parameters
from lofi_runtime.rpc.errors import RpcError


def check_params(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` with the defaults filled in and whole numbers as int.

    Args:
        method: one of `method_names()`.
        params: as they came; a parameter that is wrong in several ways is reported once.

    Raises:
        RpcError: the first parameter that is wrong, with its value and its limits.
    """
    for name, value in params.items():
        if _has_broken_text(value) or _has_broken_text(name):
            raise RpcError(
                "INVALID_PROMPT" if name == "prompt" else "INVALID_PARAMS",
                f"{_show(name)[1:-1]}: the text is not valid UTF-8",
            )
    problem = next(iter(_validator("methods", method, "params").iter_errors(params)), None)
    if problem is not None:
        raise _refusal(method, problem)
    properties = parameters(method)
    filled = {name: rule["default"] for name, rule in properties.items() if "default" in rule}
    for name, value in params.items():
        is_whole = properties[name].get("type") == "integer"
        filled[name] = int(value) if is_whole else value
    return filled


def find_problems(group: str, name: str, part: str, value: object) -> list[str]:
    """Return what is wrong with a result or a notification; for tests of the contract.

    Args:
        group: "methods" or "notifications".
        name: the method or notification.
        part: "params" or "result".
        value: what was or would be sent.
    """
    return [problem.message for problem in _validator(group, name, part).iter_errors(value)]


def _max_bytes(
    _validator: object, limit: int, instance: object, _schema: object
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and len(instance.encode()) > limit:
        yield ValidationError(f"{len(instance.encode())} bytes is more than {limit}")


def _pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    # Python's "$" also stands before a newline at the end; JSON Schema's does not.
    whole = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and not re.search(whole, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _is_finite_number(_checker: object, instance: object) -> bool:
    if isinstance(instance, bool) or not isinstance(instance, int | float):
        return False
    # A whole number beyond every float is none that anything here could use.
    return abs(instance) <= sys.float_info.max


_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"maxBytes": _max_bytes, "pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number),
)


@cache
def _validator(group: str, name: str, part: str) -> Draft202012Validator:
    whole = _Validator(load_schema())
    validator: Draft202012Validator = whole.evolve(schema=definition(group, name, part))
    return validator


def _has_broken_text(value: object) -> bool:
    """Whether a string, or one inside, holds bytes that were not UTF-8 (kept as surrogates)."""
    if isinstance(value, str):
        return any("\ud800" <= sign <= "\udfff" for sign in value)
    if isinstance(value, dict):
        return any(_has_broken_text(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_has_broken_text, value))


def _refusal(method: str, problem: ValidationError) -> RpcError:
    """Turn a validator's complaint into one sentence and the code the schema gives it."""
    steps = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in problem.path)
    path = "".join(steps).removeprefix(".")
    # The library types these three as perhaps unset, which an error from `iter_errors` never is.
    rule, allowed = str(problem.validator), cast(Any, problem.validator_value)
    value = cast(Any, problem.instance)
    if path and rule in ("required", "additionalProperties"):
        return _refused_inside(path, value, problem)
    if rule == "required":
        missing = next(name for name in allowed if name not in value)
        return RpcError("INVALID_PARAMS", f"{method} needs the parameter '{missing}'")
    if rule == "additionalProperties":
        return _unknown_parameter(method, value)
    if rule == "type":
        return RpcError("INVALID_PARAMS", f"{path}: {_show(value)} is not of type {allowed}")
    name = str(problem.path[0]) if problem.path else ""
    code = parameters(method).get(name, {}).get("x-error_code", "INVALID_PARAMS")
    return RpcError(code, f"{path}: {_limit_sentence(rule, allowed, problem)}")


def _refused_inside(path: str, value: Mapping[str, Any], problem: ValidationError) -> RpcError:
    """Refuse a map inside the parameters that lacks a field, or has one it does not know."""
    schema = cast(Mapping[str, Any], problem.schema)
    missing = [name for name in schema.get("required", ()) if name not in value]
    known = list(schema.get("properties", {}))
    if problem.validator == "required":
        return RpcError("INVALID_PARAMS", f"{path} needs the field '{missing[0]}'")
    unknown = next(name for name in value if name not in known)
    return RpcError(
        "INVALID_PARAMS",
        f"{path} has no field {_show(unknown)}",
        hint=f"it takes {', '.join(known)}",
    )


def _unknown_parameter(method: str, params: Mapping[str, Any]) -> RpcError:
    known = list(parameters(method))
    unknown = next(name for name in params if name not in known)
    near = difflib.get_close_matches(unknown[:80], known, n=1)
    asked = f"; did you mean '{near[0]}'?" if near else ""
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return RpcError(
        "INVALID_PARAMS", f"{method} has no parameter {_show(unknown)}{asked}", hint=takes
    )


def _limit_sentence(rule: str, allowed: Any, problem: ValidationError) -> str:
    """Say the value and what is allowed, by the schema's keyword that refused it."""
    value, limits_here = _show(problem.instance), cast(Mapping[str, Any], problem.schema)
    if rule in ("minimum", "maximum"):
        return f"{value} is outside {limits_here['minimum']} to {limits_here['maximum']}"
    if rule == "enum":
        return f"{value} is not one of {', '.join(map(str, allowed))}"
    if rule == "minLength" or (rule == "pattern" and allowed == "\\S"):
        return "the text is empty"
    if rule == "pattern":
        return f"{value} does not look like {allowed}"
    return problem.message


def _show(value: object) -> str:
    """Quote a value, cut so that an answer stays short."""
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
