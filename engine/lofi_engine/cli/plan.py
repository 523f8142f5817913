"""`lofi-recipe plan`: what a run would do, stage by stage, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
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
    for state in states:
        sys.stdout.write(line_of(state) + "\n")
    return 0


def line_of(state: StageState) -> str:
    """Say one stage's state in a line."""
    said = "cached" if state.cached else f"to run, because {state.reason}"
    return f"{state.stage.name:<9} {state.stage.key}  {said}"
