"""Recipes as text, and what the loader says of them."""

from __future__ import annotations

from pathlib import Path

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.load import load_text

GOOD = """\
version: 1
name: good
base:
  family: ace-step-v1
  model: builtin:tiny
dataset:
  sources:
    - synth: {tracks: 4}
lora:
  r: 8
training:
  steps: 10
variants:
  fp16: {weights: fp16}
  int8: {weights: int8}
publish:
  to: published
"""


def changed(old: str, new: str) -> str:
    """Return GOOD with one part replaced; the part must be there."""
    assert GOOD.count(old) == 1, f"{old!r} is in GOOD {GOOD.count(old)} times"
    return GOOD.replace(old, new)


def complaints(text: str, *overrides: str) -> list[str]:
    """Return the problems of a recipe, each without the file's name; empty when it loads."""
    try:
        load_text(text, Path("r.yaml"), overrides)
    except RecipeError as error:
        return [line.removeprefix("r.yaml:") for line in error.problems]
    return []
