"""Runs one stage by itself, in folders of its own, and keeps what it said."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from lofi_engine.events import Event
from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import Outcome, StageContext


@dataclass
class StageRun:
    """A stage's folder, what it reported and every event it emitted."""

    work: Path
    outcome: Outcome = field(default_factory=Outcome)
    events: list[Event] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if event.kind == "warning"]

    def files(self) -> dict[str, str]:
        """The hash of every file, by its place."""
        return {
            path.relative_to(self.work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.work.rglob("*"))
            if path.is_file()
        }


def run_stage(
    stage: ModuleType,
    recipe: Recipe,
    place: Path,
    *,
    inputs: Mapping[str, Path] | None = None,
    progress: Path | None = None,
    sink: Any = None,
    seed: int = 7,
) -> StageRun:
    """Run a stage of a recipe in `place/work`; give its folder and what it said.

    Args:
        stage: the stage's module.
        recipe: the recipe.
        place: an empty or missing folder.
        inputs: the folders of its input stages.
        progress: where it keeps progress; None takes `place/progress`.
        sink: called with each event after it was kept; may raise, as a kill does.
        seed: the stage's.
    """
    work = place / "work"
    work.mkdir(parents=True)
    run = StageRun(work)

    def both(event: Event) -> None:
        run.events.append(event)
        if sink is not None:
            sink(event)

    context = StageContext(
        stage=stage.__name__.rpartition(".")[2],
        work=work,
        progress=progress or place / "progress",
        inputs=inputs or {},
        home=recipe.home,
        seed=seed,
        sink=both,
    )
    run.outcome = stage.run(context, stage.settings(recipe))
    return run
