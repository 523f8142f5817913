"""`lofi-recipe clean`: remove what the recipe as it stands no longer needs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import exclusive, plan_states, runs_folder
from lofi_engine.stages.registry import STAGES


def run_clean(
    path: Path, overrides: Sequence[str] = (), *, everything: bool = False, dry_run: bool = False
) -> int:
    """Remove artifacts and leftovers that the current recipe does not use.

    Args:
        path: the recipe.
        overrides: `key.path=value`, in place of the recipe's own values.
        everything: remove the current artifacts and unfinished progress too.
        dry_run: only say what would go.
    """
    recipe = load_recipe(path, overrides)
    folder = runs_folder(recipe)
    if not folder.is_dir():
        sys.stdout.write("nothing to clean\n")
        return 0
    with exclusive(folder):
        wanted = set()
        for state in plan_states(recipe, STAGES):
            wanted |= {(state.stage.name, state.stage.key)}
            wanted |= {(state.stage.name, f".progress-{state.stage.key}")}
        doomed = [
            place
            for place in sorted(folder.glob("*/*"))
            if place.is_dir()
            and place.parent.name in STAGES
            and (everything or (place.parent.name, place.name) not in wanted)
        ]
        freed = 0
        for place in doomed:
            freed += sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
            sys.stdout.write(f"{place.relative_to(recipe.home)}\n")
            if not dry_run:
                shutil.rmtree(place)
    verb = "would be freed" if dry_run else "freed"
    sys.stdout.write(f"{len(doomed)} folders, {freed / 1e6:.1f} MB {verb}\n")
    return 0
