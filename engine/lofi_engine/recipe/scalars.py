"""What a plain YAML scalar means, by the core schema of YAML 1.2 (section 10.3.2).

PyYAML's own rules are those of YAML 1.1, where `1e-4` is text, `no` is false, `1:30` is ninety and
`012` is ten.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Far beyond every limit of the schema, and short enough for Python's int().
_LONGEST_NUMBER = 100


def resolve_plain(text: str) -> Scalar:
    """Return what an unquoted scalar means.

    Raises:
        ValueError: it is a number a recipe cannot use (infinite, not a number, too long).
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a number a recipe can use; give a finite one")
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            _refuse_long(text)
            return int(text if base == 10 else text[2:], base)
    if _FLOAT.fullmatch(text):
        _refuse_long(text)
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text} is too large for a number; give a finite one")
        return number
    return text


def _refuse_long(text: str) -> None:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} characters is too long for a recipe")
