"""`lofi-recipe plan`: what a run would do, stage by stage, and why; and what it would weigh."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence, Set
from pathlib import Path

from lofi_engine.cli import sizes, training_plan
from lofi_engine.errors import StageError
from lofi_engine.lookup import StageState
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Recipe
from lofi_engine.run import plan_states
from lofi_engine.stages.registry import STAGES


def run_plan(path: Path, overrides: Sequence[str] = (), *, as_json: bool = False) -> int:
    """Print each stage of the recipe as *cached* or *to run, because ...*, and the sizes."""
    recipe = load_recipe(path, overrides)
    states = plan_states(recipe, STAGES)
    if as_json:
        rows = [
            {
                "stage": state.stage.name,
                "key": state.stage.key,
                "cached": state.cached,
                "reason": state.reason,
            }
            for state in states
        ]
        planned = {
            "stages": rows,
            "sizes": _json_sizes(recipe),
            "training": _json_training(recipe),
        }
        sys.stdout.write(json.dumps(planned, indent=1) + "\n")
        return 0
    print_plan(states)
    sys.stdout.write("\n")
    for line in (*_size_lines(recipe), *_training_lines(recipe)):
        sys.stdout.write(line + "\n")
    return 0


def _size_lines(recipe: Recipe) -> list[str]:
    try:
        return list(sizes.lines_of(sizes.sizes_of(recipe)))
    except StageError as error:
        return [f"The graphs' sizes are not known: {error}"]


def _json_sizes(recipe: Recipe) -> dict[str, object]:
    try:
        return sizes.json_of(sizes.sizes_of(recipe))
    except StageError as error:
        return {"unknown": str(error)}


def _training_lines(recipe: Recipe) -> list[str]:
    try:
        return ["", *training_plan.training_lines(training_plan.plan_training(recipe))]
    except StageError:  # the base's configuration is not known, as the sizes say
        return []


def _json_training(recipe: Recipe) -> dict[str, object]:
    try:
        return training_plan.training_json(training_plan.plan_training(recipe))
    except StageError as error:
        return {"unknown": str(error)}


def print_plan(states: Sequence[StageState], todo: Set[str] | None = None) -> int:
    """Print states line by line; with `todo`, what a run of just these stages would do."""
    for state in states:
        sys.stdout.write(line_of(state, todo) + "\n")
    return 0


def line_of(state: StageState, todo: Set[str] | None = None) -> str:
    """Say one stage's state in a line, and where `todo` decides otherwise, that."""
    chosen = not state.cached if todo is None else state.stage.name in todo
    if state.cached:
        said = "to run, because you asked" if chosen else "cached"
    else:
        said = f"to run, because {state.reason}" if chosen else f"left, though {state.reason}"
    return f"{state.stage.name:<9} {state.stage.key}  {said}"
