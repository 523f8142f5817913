"""`lofi-recipe plan`: what a run would do, stage by stage, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence, Set
from pathlib import Path

from lofi_engine.lookup import StageState
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import plan_states
from lofi_engine.stages.registry import STAGES


def run_plan(path: Path, overrides: Sequence[str] = (), *, as_json: bool = False) -> int:
    """Print each stage of the recipe as *cached* or *to run, because ...*."""
    states = plan_states(load_recipe(path, overrides), STAGES)
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
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    return print_plan(states)


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
