"""Stages that look finished: records written for the keys a recipe plans, without any work."""

from __future__ import annotations

from pathlib import Path

from lofi_engine.artifact import write_record
from lofi_engine.lookup import artifact_folder
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import plan_states, runs_folder
from lofi_engine.stages.base import Outcome
from lofi_engine.stages.registry import STAGES


def finish(recipe_path: Path, *names: str, size_bytes: int = 1_000_000) -> dict[str, Path]:
    """Leave an artifact of `size_bytes` for each named stage; give its folder."""
    recipe = load_recipe(recipe_path)
    folders = {}
    for state in plan_states(recipe, STAGES):
        if state.stage.name not in names:
            continue
        folder = artifact_folder(runs_folder(recipe), state.stage)
        folder.mkdir(parents=True)
        (folder / "content.bin").write_bytes(b"\0" * size_bytes)
        write_record(
            folder,
            content={**state.stage.identity(), "key": state.stage.key},
            outcome=Outcome(),
            recipe={"name": recipe.name, "text": recipe.text},
            measured={"started": "2026-01-02T03:04:05Z", "duration_sec": 12.34},
        )
        folders[state.stage.name] = folder
    return folders
