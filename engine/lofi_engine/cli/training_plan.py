"""What training a recipe's adapter will take, as `plan` prints it: memory and disk by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lofi_engine.cli.sizes import readable
from lofi_engine.models.loading import base_of, family_of
from lofi_engine.models.training_outline import TrainingOutline
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Recipe
from lofi_engine.training.disk import estimate_training_disk
from lofi_engine.training.memory import (
    CARD_BYTES,
    PLANNED_TOKENS,
    MemoryEstimate,
    estimate_training_memory,
    savings,
)
from lofi_runtime.shared_data import shared_folder

SMALLER = "v1-lowvram.yaml"
_SPEAKER = "speaker_embedder"
_HINTS = 3


@dataclass(frozen=True)
class TrainingPlan:
    """What a training will take.

    Args:
        recipe: it is of.
        outline: of its base.
        memory: of one process; for a full-size base on an accelerator.
        disk: bytes by what they are.
    """

    recipe: Recipe
    outline: TrainingOutline
    memory: MemoryEstimate
    disk: Mapping[str, int]

    @property
    def card_bytes(self) -> int | None:
        """The accelerator's memory it is held against, for a base that needs one."""
        return CARD_BYTES if self.recipe.base.model.startswith("hf:") else None

    @property
    def fits(self) -> bool:
        """Whether it fits the card it is held against."""
        return self.card_bytes is None or self.memory.training <= self.card_bytes


def plan_training(recipe: Recipe) -> TrainingPlan:
    """Work out what a recipe's training will take, from the configuration alone.

    Raises:
        StageError: the configuration of the recipe's base is not known here.
    """
    base = base_of(recipe)
    outline = family_of(base).training_outline(base.model, revision=base.revision, home=recipe.home)
    device = "cuda" if recipe.base.model.startswith("hf:") else "cpu"
    memory = estimate_training_memory(outline, recipe.lora, recipe.training, device=device)
    disk = estimate_training_disk(outline, recipe.lora, recipe.training)
    return TrainingPlan(recipe, outline, memory, disk)


def training_lines(plan: TrainingPlan) -> Iterator[str]:
    """Give the plan line by line."""
    training, tokens = plan.recipe.training, PLANNED_TOKENS
    yield (
        f"Training at rank {plan.recipe.lora.r}, {training.batch_size} x {training.window_sec:g} s "
        f"a step, {tokens.text} text and {tokens.lyrics} lyric tokens, takes about:"
    )
    parts = {**plan.memory.parts, "memory": plan.memory.training}
    width = max(map(len, (*parts, "disk")))
    for name, size in parts.items():
        yield f"{name.ljust(width)}  {readable(size).rjust(9)}{_against_card(plan, name)}"
    by_part = ", ".join(f"{name} {readable(size)}" for name, size in plan.disk.items())
    yield f"{'disk'.ljust(width)}  {readable(sum(plan.disk.values())).rjust(9)}  ({by_part})"
    yield f"{'hours'.ljust(width)}  a few steps before the first will say"
    if not plan.fits:
        yield from _what_fits(plan)


def training_json(plan: TrainingPlan) -> dict[str, Any]:
    """Give the same as JSON values."""
    return {
        "memory_bytes": plan.memory.training,
        "memory_parts": dict(plan.memory.parts),
        "loading_bytes": plan.memory.loading,
        "card_bytes": plan.card_bytes,
        "fits": plan.fits,
        "disk_bytes": sum(plan.disk.values()),
        "disk_parts": dict(plan.disk),
        "adapter_parameters": plan.memory.adapter_weights,
    }


def _against_card(plan: TrainingPlan, name: str) -> str:
    if name != "memory" or plan.card_bytes is None:
        return ""
    spare = plan.card_bytes - plan.memory.training
    said = f"fits, {readable(spare)} to spare" if spare >= 0 else f"{readable(-spare)} too much"
    return f"  of {readable(plan.card_bytes)}: {said}"


def _what_fits(plan: TrainingPlan) -> Iterator[str]:
    recipe = plan.recipe
    found = savings(
        recipe.lora,
        recipe.training,
        lambda lora, training: estimate_training_memory(plan.outline, lora, training).training,
    )
    for change, size in found[:_HINTS]:
        yield f"lower it with {change} (saves {readable(size)})"
    smaller = load_recipe(shared_folder("recipes") / SMALLER)
    takes = estimate_training_memory(plan.outline, smaller.lora, smaller.training).training
    yield (
        f"or take lora and training from recipes/{SMALLER}: about {readable(takes)}, at rank "
        f"{smaller.lora.r} and without the {_SPEAKER}."
    )
    yield (
        "It costs the vocals most: how a voice sounds stays the base's, and the attentions that "
        "learn how it is sung have half the rank."
    )
