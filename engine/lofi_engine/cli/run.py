"""`lofi-recipe run`: bring a recipe to its published variants."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lofi_engine.artifact import Artifact
from lofi_engine.cli.plan import run_plan
from lofi_engine.cli.terminal import JsonLines, LiveLines, PlainLines
from lofi_engine.events import Event, EventSink
from lofi_engine.needs import check_needs
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Recipe
from lofi_engine.rehearse import rehearsal
from lofi_engine.run import EVERYTHING, Choice, run
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
    if dry_run:
        return run_plan(path, overrides)
    recipe = load_recipe(path, overrides)
    with _sink(progress) as sink:
        if rehearse:
            recipe, differences = rehearsal(recipe)
            for line in differences:
                sink(Event("rehearse", 0, 0, "", line, kind="note"))
        check_needs(recipe)
        artifacts = run(recipe, STAGES, sink=sink, choice=choice)
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


def _results(artifacts: dict[str, Artifact], recipe: Recipe) -> list[str]:
    published = artifacts.get("publish")
    if published is None:
        return []
    facts = published.content["facts"]
    where = (recipe.home / facts["to"]).resolve()
    return [str(where / facts["bundles"][variant]) for variant in recipe.variants]
