"""Hashes of values and files, the same on every machine.

A JSON file whose top level has a "measured" key is hashed without it: speeds and dates differ
from run to run, what was made does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lofi_runtime.atomic import read_json

KEY_LENGTH = 16
"""Hex digits of a stage's key: 64 bits, as a folder name people can compare by eye."""

MEASURED = "measured"


def canonical_json(value: Any) -> bytes:
    """Write `value` as JSON with sorted keys and no spaces, so that equal values give equal bytes.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: something is not a JSON value.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
    return text.encode("utf-8", "surrogatepass")  # a file name need not be UTF-8


def hash_value(value: Any) -> str:
    """Hash a JSON value (sha256, hex)."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def hash_file(path: Path) -> str:
    """Hash a file's bytes (sha256, hex), reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(path: Path) -> str:
    """Hash what a file says: its bytes, or its JSON without the "measured" key."""
    if path.suffix == ".json":
        try:
            value = read_json(path)
        except ValueError:
            return hash_file(path)
        if isinstance(value, Mapping) and MEASURED in value:
            return hash_value({key: part for key, part in value.items() if key != MEASURED})
    return hash_file(path)
