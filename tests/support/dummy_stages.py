"""Stages that do nothing but leave a trace, to prove planning and running without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import Outcome, StageContext


@dataclass(frozen=True)
class DummySettings:
    steps: int
    label: str


@dataclass
class DummyStage:
    """Writes its inputs' texts and its own name; counts its runs."""

    label: str
    VERSION: int = 1
    source: str | None = None
    body: Callable[[StageContext], Any] | None = None
    runs: list[Path] = field(default_factory=list)

    def settings(self, recipe: Recipe) -> DummySettings:
        return DummySettings(recipe.training.steps if self.label == "second" else 0, self.label)

    def sources(self, recipe: Recipe) -> tuple[Path, ...]:
        return (recipe.home / self.source,) if self.source else ()

    def run(self, context: StageContext, settings: DummySettings) -> Outcome:
        self.runs.append(context.work)
        said = [
            (folder / "said.txt").read_text() for _name, folder in sorted(context.inputs.items())
        ]
        context.emit(1, 2, "parts", self.label)
        (context.work / "said.txt").write_text("".join([*said, f"{self.label}:{settings.steps}\n"]))
        if self.body:
            self.body(context)
        context.emit(2, 2, "parts", self.label)
        return Outcome(facts={"label": self.label}, measured={"speed": len(self.runs)})


PIPELINE = {"first": (), "second": ("first",), "third": ("first", "second")}


def dummy_stages() -> dict[str, DummyStage]:
    return {name: DummyStage(name) for name in PIPELINE}
