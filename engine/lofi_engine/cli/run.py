"""`lofi-recipe run`: bring a recipe to its published variants."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lofi_engine.artifact import Artifact
from lofi_engine.cli.plan import print_plan
from lofi_engine.cli.terminal import JsonLines, LiveLines, PlainLines
from lofi_engine.data.targets import target_warnings
from lofi_engine.events import Event, EventSink
from lofi_engine.needs import check_needs
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Recipe
from lofi_engine.rehearse import rehearsal
from lofi_engine.run import EVERYTHING, Choice, chosen_stages, plan_states, run
from lofi_engine.stages.registry import STAGES


def run_run(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    choice: Choice = EVERYTHING,
    rehearse: bool = False,
    dry_run: bool = False,
    progress: str = "auto",
) -> int:
    """Run the recipe; print where the published variants are.

    Args:
        path: the recipe.
        overrides: `key.path=value`, in place of the recipe's own values.
        choice: which stages.
        rehearse: shrink it first.
        dry_run: print the plan instead.
        progress: "auto", "live", "plain" or "json".
    """
    recipe = load_recipe(path, overrides)
    with _sink(progress) as sink:
        if rehearse:
            recipe, differences = rehearsal(recipe)
            for line in differences:
                sink(Event("rehearse", 0, 0, "", line, kind="note"))
        if dry_run:
            states = plan_states(recipe, STAGES)
            return print_plan(states, chosen_stages(states, choice))
        check_needs(recipe)
        artifacts = run(recipe, STAGES, sink=sink, choice=choice)
        _warn_of_targets(artifacts, recipe, sink)
    for line in _results(artifacts, recipe):
        sys.stdout.write(line + "\n")
    return 0


@contextlib.contextmanager
def _sink(progress: str) -> Iterator[EventSink]:
    if progress == "json":
        yield JsonLines()
    elif progress == "live" or (progress == "auto" and sys.stderr.isatty()):
        with LiveLines() as live:
            yield live
    else:
        yield PlainLines()


def _warn_of_targets(artifacts: dict[str, Artifact], recipe: Recipe, sink: EventSink) -> None:
    """Say where the data falls short of what the recipe wants of it; that shapes no stage."""
    if "curate" in artifacts:
        facts = artifacts["curate"].content["facts"]
        for line in target_warnings(facts, recipe.dataset):
            sink(Event("curate", 0, 0, "", line, kind="warning"))


def _results(artifacts: dict[str, Artifact], recipe: Recipe) -> list[str]:
    published = artifacts.get("publish")
    if published is None:
        return []
    facts = published.content["facts"]
    where = (recipe.home / facts["to"]).resolve()
    return [str(where / facts["bundles"][variant]) for variant in recipe.variants]
