"""From a recipe's `base` block to a loaded base, for every stage that needs one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.libraries import quiet_bitsandbytes
from lofi_engine.models.family import Base, Family
from lofi_engine.models.registry import FAMILIES
from lofi_engine.recipe import model


def family_of(reference: model.Base) -> Family:
    """Give the family a recipe names.

    Raises:
        StageError: no such family.
    """
    family = FAMILIES.get(reference.family)
    if family is None:
        raise StageError(
            f"base.family: '{reference.family}' is unknown",
            hint=f"known: {', '.join(sorted(FAMILIES))}",
        )
    return family


def base_of(recipe: model.Recipe) -> model.Base:
    """Give the recipe's base as stages keep it in their settings, and so in their keys.

    In place of the revision stands what it means today: a commit, or a built-in base's number. A
    lyric vocabulary on the Hub is pinned to its commit too.
    """
    family, base = FAMILIES.get(recipe.base.family), recipe.base
    if family is None:
        return base
    return replace(
        base,
        revision=family.definition(base.model, base.revision),
        lyric_vocabulary=family.vocabulary_definition(base.lyric_vocabulary),
    )


def load_base(
    reference: model.Base,
    home: Path,
    *,
    precision: str = "fp32",
    transformer: Path | None = None,
) -> Base:
    """Load the base a recipe names; relative folders start at `home`.

    Args:
        reference: which base.
        home: the recipe's folder.
        precision: of the weights, "fp32", "fp16" or "bf16".
        transformer: weights that stand in for the base's own transformer's; see `Family.load`.

    Raises:
        StageError: it is not there, or not of its family.
    """
    quiet_bitsandbytes()
    return family_of(reference).load(
        reference.model,
        revision=reference.revision,
        lyric_vocabulary=reference.lyric_vocabulary,
        home=home,
        precision=precision,
        transformer=transformer,
    )


def base_sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """List the files on disk that make the base what it is; none for built-in and Hub bases.

    Those are identified by what stands for their revision (`base_of`).
    """
    reference = recipe.base
    found: list[Path] = []
    if not reference.model.startswith(("hf:", "builtin:")):
        found.append(recipe.home / reference.model)
    vocabulary = reference.lyric_vocabulary
    if vocabulary is not None and not vocabulary.startswith("hf:"):
        found.append(recipe.home / vocabulary)
    return tuple(found)
