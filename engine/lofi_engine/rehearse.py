"""Shrinks a recipe until it runs end to end in minutes on any machine.

A rehearsal keeps the recipe's shape (LoRA targets, precision, variants and their methods and
budgets) and replaces what is large or absent: base, rank, tracks, step counts. It proves
that a week of training will not fail at its last stage; it says nothing of quality.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lofi_engine.measuring.windowing import (
    FEWEST_TRACKS,
    rendered_windows,
    too_few,
    track_windows,
    windowing_of,
)
from lofi_engine.metrics.shelf import SOUND_EMBEDDING
from lofi_engine.recipe.model import (
    Base,
    Calibration,
    Dataset,
    FadGate,
    Gate,
    Lora,
    Measure,
    Recipe,
    Select,
    Source,
    Synth,
    Training,
)

BASE = "builtin:tiny"
TRACKS = 8
STEPS = 6
SEEDS = 2
SEEDS_FOR_FAD = 4
"""The fewest whose pieces give the windows that a projection needs."""
DURATION_SEC = 5.0
RANK = 16
"""No layer of the small base has room for a rank of 256."""


def rehearsal(recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """Give the recipe as a rehearsal runs it, and one line for each thing that differs."""
    # A budget for the real base would lift every weight of the small one.
    variants = {name: replace(one, max_bytes=None) for name, one in recipe.variants.items()}
    measure = _measure(recipe.measure, recipe.dataset)
    select = _select(recipe.select, recipe.dataset)
    fad = measure.fad is not None or select.weights.fad > 0
    changed = replace(
        recipe,
        name=f"{recipe.name[:50]}-rehearsal",
        base=Base(recipe.base.family, BASE, "main", None),
        lora=_lora(recipe.lora),
        dataset=_dataset(recipe.dataset, fad=fad),
        training=_training(recipe.training),
        select=select,
        calibration=Calibration(min(4, recipe.calibration.prompts)),
        variants=variants,
        measure=measure,
        publish=replace(recipe.publish, to=f"runs/{recipe.name[:50]}-rehearsal/published"),
    )
    differences = _differences(recipe, changed)
    return replace(changed, changes=(*recipe.changes, *differences)), differences


def _dataset(dataset: Dataset, *, fad: bool) -> Dataset:
    duration_sec = dataset.quality.min_duration_sec
    synth = Synth(tracks=TRACKS, duration_sec=duration_sec, styles=())
    return replace(
        dataset,
        sources=(Source(path=None, ledger=None, synth=synth),),
        target_tracks=None,
        holdout_share=_holdout_share(dataset) if fad else dataset.holdout_share,
        # Synthesised tracks are CC0; a policy that does not list it would refuse them all.
        licenses=replace(dataset.licenses, allow=tuple(sorted({*dataset.licenses.allow, "cc0"}))),
    )


def _lora(lora: Lora) -> Lora:
    """Lower the rank and keep the scale."""
    if lora.r <= RANK:
        return lora
    ratio = RANK / lora.r
    return replace(lora, r=RANK, alpha=lora.alpha * (math.sqrt(ratio) if lora.rslora else ratio))


def _training(training: Training) -> Training:
    steps = min(STEPS, training.steps)
    return replace(
        training,
        steps=steps,
        batch_size=min(2, training.batch_size),
        accumulate=min(2, training.accumulate),
        warmup_steps=min(1, training.warmup_steps),
        window_sec=min(5.0, training.window_sec),
        ssl=None,  # the small base's projectors fit no published model
        processes=1,
        early_stop=None,
        checkpoint_every=max(1, steps // 2),
        sample_every=max(1, steps // 2),
    )


def _select(select: Select, dataset: Dataset) -> Select:
    """Leave out what needs a model or people; what then counts for nothing is the loss."""
    clips = min(SEEDS_FOR_FAD, select.clips)
    duration_sec = min(int(DURATION_SEC), select.duration_sec)
    weights = replace(select.weights, prompt=0.0, ratings=0.0)
    if not dataset.holdout_share or _lacks_windows(clips, duration_sec, dataset):
        weights = replace(weights, fad=0.0)
    if not weights.fad:
        weights = replace(weights, held_out_loss=weights.held_out_loss or 1.0)
    return Select(weights, clips, min(4, select.steps), duration_sec, clap=None, ratings=None)


def _measure(measure: Measure, dataset: Dataset) -> Measure:
    smaller = replace(
        measure,
        seeds=min(SEEDS, measure.seeds),
        steps=min(4, measure.steps),
        duration_sec=min(DURATION_SEC, measure.duration_sec),
        max_distance=Gate({}),  # bounds are for the real model; a random one has its own errors
        fad=None,
        clap=None,
    )
    if measure.fad is None:
        return smaller
    seeds = min(SEEDS_FOR_FAD, measure.seeds)
    fad = FadGate(SOUND_EMBEDDING, project=True, max_increase={})
    if _lacks_windows(seeds, smaller.duration_sec, dataset):
        return smaller
    return replace(smaller, seeds=seeds, fad=fad)


def _holdout_share(dataset: Dataset) -> float:
    """Hold out as many tracks as a Fréchet distance needs, if any are."""
    share = dataset.holdout_share
    return max(share, FEWEST_TRACKS / TRACKS) if share else share


def _lacks_windows(seeds: int, duration_sec: float, dataset: Dataset) -> bool:
    """Say whether the rehearsal's pieces or its tracks are too short or few for any distance."""
    windowing = windowing_of(SOUND_EMBEDDING, Path())
    held_out = round(TRACKS * _holdout_share(dataset)) or TRACKS
    counts = (
        rendered_windows(seeds, math.ceil(duration_sec), windowing),
        track_windows([dataset.quality.min_duration_sec] * held_out, windowing),
    )
    return any(too_few("", count, windowing, project=True) for count in counts)


def _differences(recipe: Recipe, changed: Recipe) -> tuple[str, ...]:
    lines = [
        "a rehearsal: small, on an untrained base; it says nothing of quality",
        f"base: {changed.base.model} in place of {recipe.base.model}",
        f"dataset: {TRACKS} synthesised tracks in place of the recipe's sources",
        f"lora.r: {changed.lora.r} in place of {recipe.lora.r}, at the same scale",
        f"training.steps: {changed.training.steps} in place of {recipe.training.steps}",
        f"measure: {changed.measure.seeds} seeds, figures reported but not gated",
        f"publish.to: {changed.publish.to} in place of {recipe.publish.to}",
    ]
    for key in ("ssl", "early_stop"):
        if getattr(recipe.training, key) is not None:
            lines.append(f"training.{key}: left out")
    if recipe.training.processes > 1:
        lines.append(f"training.processes: 1 in place of {recipe.training.processes}")
    lines += [
        f"variants.{name}.max_bytes: left out, it is for the real base"
        for name, variant in recipe.variants.items()
        if variant.max_bytes is not None
    ]
    if changed.dataset.holdout_share != recipe.dataset.holdout_share:
        share, asked = changed.dataset.holdout_share, recipe.dataset.holdout_share
        lines.append(f"dataset.holdout_share: {share:g} in place of {asked:g}, for fad")
    lines += _select_differences(recipe.select, changed.select)
    return (*lines, *_gate_differences(recipe.measure, changed.measure))


def _select_differences(select: Select, changed: Select) -> Iterator[str]:
    for name, asked in vars(select.weights).items():
        weight = getattr(changed.weights, name)
        if weight != asked:
            yield f"select.weights.{name}: {weight:g} in place of {asked:g}"


def _gate_differences(measure: Measure, changed: Measure) -> Iterator[str]:
    if measure.fad is not None and changed.fad is not None:
        yield (
            f"measure.fad: by {changed.fad.embedding}, projected to the few dimensions that so few "
            "windows allow"
        )
    elif measure.fad is not None:
        yield "measure.fad: not measured; its pieces or tracks are too few and short for it"
    if measure.clap is not None:
        yield "measure.clap: not measured; it needs a model"
