"""The bases that come with lofi-recipe: their names, their numbers, and where their files lie.

Importing this loads no network; recipes are checked with it.
"""

from __future__ import annotations

from pathlib import Path

from lofi_engine.errors import StageError

PREFIX = "builtin:"
TINY = "builtin:tiny"
"""Random weights, made on the spot: for the machinery alone."""
NANO = "builtin:lofi-nano"
"""A small base that has learned music; its files lie in `NANO_FOLDER`."""

DEFINITIONS = {TINY: "1", NANO: "1"}
"""The built-in bases, each with a number that is raised whenever its weights change."""

NANO_FOLDER = Path(__file__).parent / "lofi_nano"
"""Laid out as `checkpoint` says; fp16."""


def identity_of(name: str) -> str:
    """Give what cache keys and adapters record of a built-in base, e.g. "builtin:tiny@1"."""
    return f"{name}@{DEFINITIONS[name]}"


def check_builtin(name: str) -> None:
    """Refuse a built-in base that does not exist, or whose files this install lacks.

    Raises:
        StageError: says which bases there are, or what is missing.
    """
    if name not in DEFINITIONS:
        raise StageError(
            f"base.model: '{name}' is not built in",
            hint=f"the family ace-step-v1 has {' and '.join(DEFINITIONS)}",
        )
    if name == NANO and not NANO_FOLDER.is_dir():
        raise StageError(
            f"base.model: this install lacks the weights of {NANO}: {NANO_FOLDER} is missing",
            hint="install lofi-recipe again; recipes/nano-base.yaml makes them from nothing",
        )
