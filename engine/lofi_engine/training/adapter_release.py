"""A finished recipe's adapter as a folder one can pass on: both forms, and all that made it.

While training, an adapter says its base and its step alone: the recipe's text would make a changed
comment another training. What is passed on says everything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Recipe
from lofi_engine.training.adapter_convert import as_trained
from lofi_engine.training.adapter_files import (
    ADAPTER_WEIGHTS,
    SHA256,
    facts_of,
    save_diffusers,
    save_peft,
)
from lofi_engine.training.adapter_reading import read_adapter
from lofi_runtime.atomic import replace_folder

_SHOWN_HASH = 8


@dataclass(frozen=True)
class Origin:
    """What made an adapter, of all that a recipe says.

    Args:
        recipe: its name.
        release: the model's version.
        text: the recipe as it was written.
        changes: what it was run with instead.
        steps: it was to be trained for.
        license: it is published under.
    """

    recipe: str
    release: str
    text: str
    changes: tuple[str, ...]
    steps: int
    license: str


def origin_of(recipe: Recipe) -> Origin:
    """Take an adapter's origin from its recipe."""
    return Origin(
        recipe=recipe.name,
        release=recipe.release,
        text=recipe.text,
        changes=recipe.changes,
        steps=recipe.training.steps,
        license=recipe.publish.license,
    )


def release_facts(origin: Origin, ledger: Mapping[str, Any], revision: str) -> dict[str, str]:
    """Give what an adapter's files say of the recipe that made it.

    Args:
        origin: the recipe.
        ledger: sums over the training tracks, as `publishing.facts.ledger_sums` gives them.
        revision: of the base, as it was found.
    """
    return {
        "recipe": origin.recipe,
        "release": origin.release,
        "recipe_sha256": hashlib.sha256(origin.text.encode()).hexdigest(),
        "recipe_text": origin.text,
        "recipe_changes": json.dumps(list(origin.changes)),
        "base_revision": revision,
        "steps": str(origin.steps),
        "license": origin.license,
        "ledger": json.dumps(dict(ledger), sort_keys=True),
    }


def release_name(facts: Mapping[str, str], sha256: str) -> str:
    """Name an adapter's folder: recipe, release, and the start of its weights' hash."""
    return f"{facts['recipe']}-{facts['release']}-{sha256[:_SHOWN_HASH]}"


def write_release(chosen: Path, facts: Mapping[str, str], parent: Path) -> Path:
    """Write an adapter in both forms, with `facts` in each file, into a folder of its own.

    Args:
        chosen: the folder of the adapter, as PEFT reads it.
        facts: as `release_facts` gives them; added to what the adapter's files say already.
        parent: where the folder goes; made if it is not there.

    Returns:
        The folder, `<recipe>-<release>-<hash>`; one that is there already is written anew, for
        its name says that it holds the same weights.

    Raises:
        StageError: the adapter is damaged, or a file of that name is in the way.
    """
    adapter = read_adapter(chosen / ADAPTER_WEIGHTS)
    weights, config = as_trained(adapter)
    every = {**facts_of(adapter.metadata, config), **facts}
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f".{facts['recipe']}-{facts['release']}.part"
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(_remove, aside)
        _remove(aside)
        save_peft(aside, weights, config, every)
        save_diffusers(aside, weights, config, every)
        sha256 = read_adapter(aside / ADAPTER_WEIGHTS).metadata[SHA256]
        place = parent / release_name(facts, sha256)
        if place.exists() and not place.is_dir():
            raise StageError(f"{place}: a file is in the way", hint="name another folder")
        replace_folder(aside, place)
    return place


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
