"""Shrinks a recipe until it runs end to end in minutes on any machine.

A rehearsal keeps the recipe's shape (LoRA rank and targets, precision, variants and their
methods and budgets) and replaces what is large or absent: base, tracks, step counts. It proves
that a week of training will not fail at its last stage; it says nothing of quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lofi_engine.quantization.methods import BUILT_METHODS
from lofi_engine.recipe.model import (
    Base,
    Calibration,
    Dataset,
    Gate,
    Measure,
    Recipe,
    Source,
    Synth,
    Training,
    Variant,
)

BASE = "builtin:tiny"
TRACKS = 8
STEPS = 6


def rehearsal(recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """Give the recipe as a rehearsal runs it, and one line for each thing that differs."""
    variants = {name: _variant(variant) for name, variant in recipe.variants.items()}
    changed = replace(
        recipe,
        name=f"{recipe.name[:50]}-rehearsal",
        base=Base(recipe.base.family, BASE, "main", None),
        dataset=_dataset(recipe.dataset),
        training=_training(recipe.training),
        calibration=Calibration(min(4, recipe.calibration.prompts)),
        variants=variants,
        measure=_measure(recipe.measure),
        publish=replace(recipe.publish, to=f"runs/{recipe.name[:50]}-rehearsal/published"),
    )
    differences = _differences(recipe, changed)
    return replace(changed, changes=(*recipe.changes, *differences)), differences


def _dataset(dataset: Dataset) -> Dataset:
    duration_sec = dataset.quality.min_duration_sec
    synth = Synth(tracks=TRACKS, duration_sec=duration_sec, styles=())
    return replace(
        dataset,
        sources=(Source(path=None, ledger=None, synth=synth),),
        target_tracks=None,
        # Synthesised tracks are CC0; a policy that does not list it would refuse them all.
        licenses=replace(dataset.licenses, allow=tuple(sorted({*dataset.licenses.allow, "cc0"}))),
    )


def _training(training: Training) -> Training:
    steps = min(STEPS, training.steps)
    return replace(
        training,
        steps=steps,
        batch_size=min(2, training.batch_size),
        accumulate=min(2, training.accumulate),
        warmup_steps=min(1, training.warmup_steps),
        window_sec=min(5.0, training.window_sec),
        checkpoint_every=max(1, steps // 2),
        sample_every=max(1, steps // 2),
    )


def _variant(variant: Variant) -> Variant:
    return variant if variant.method in BUILT_METHODS else replace(variant, method="rtn")


def _measure(measure: Measure) -> Measure:
    return replace(
        measure,
        seeds=min(2, measure.seeds),
        steps=min(4, measure.steps),
        duration_sec=min(5.0, measure.duration_sec),
        max_distance=Gate({}),  # bounds are for the real model; a random one has its own errors
        fad=None,
        clap=None,
    )


def _differences(recipe: Recipe, changed: Recipe) -> tuple[str, ...]:
    lines = [
        "a rehearsal: small, on an untrained base; it says nothing of quality",
        f"base: {changed.base.model} in place of {recipe.base.model}",
        f"dataset: {TRACKS} synthesised tracks in place of the recipe's sources",
        f"training.steps: {changed.training.steps} in place of {recipe.training.steps}",
        f"measure: {changed.measure.seeds} seeds, distances reported but not gated",
        f"publish.to: {changed.publish.to} in place of {recipe.publish.to}",
    ]
    lines += [
        f"variants.{name}.method: {changed.variants[name].method} in place of {variant.method}, "
        "which is not built yet"
        for name, variant in recipe.variants.items()
        if variant.method != changed.variants[name].method
    ]
    dropped: Mapping[str, object] = {"fad": recipe.measure.fad, "clap": recipe.measure.clap}
    lines += [f"measure.{name}: not measured" for name, gate in dropped.items() if gate]
    return tuple(lines)
