"""Measures every variant against float32 at equal seeds, and holds it to the recipe's bounds.

Rendered by the runtime's own pipeline. Distances are reproducible and published as quality;
times are of this machine and published as measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_runtime.errors import ManyProblemsError

VERSION = 1
FLOAT32 = "float32"


class GateError(ManyProblemsError, StageError):
    """Variants are further from float32 than the recipe allows; one line each."""


@dataclass(frozen=True)
class Settings:
    """What is rendered and what is allowed."""

    seeds: int
    steps: int
    duration_sec: int
    max_distance: Mapping[str, float]
    variants: tuple[str, ...]
    styles: StylesSource


def settings(recipe: model.Recipe) -> Settings:
    """Take what measuring needs from the recipe."""
    measure = recipe.measure
    return Settings(
        seeds=measure.seeds,
        steps=measure.steps,
        duration_sec=math.ceil(measure.duration_sec),
        max_distance=dict(measure.max_distance.bounds),
        variants=tuple(recipe.variants),
        styles=styles_source(recipe),
    )


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The recipe's own styles give the prompts."""
    return styles_folders(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Render the probes with float32 and every variant; write `measure.json`.

    Raises:
        GateError: a variant is further from float32 than `measure.max_distance` allows.
        BackendError: a variant cannot be loaded or run.
    """
    from lofi_engine.measuring.distance import latent_distance, summarise
    from lofi_engine.measuring.render import (
        QUALITY_THREADS,
        final_latents,
        open_unpublished,
        render_time_ratio,
    )

    exported = context.inputs["export"]
    pipeline = json.loads((exported / "model.json").read_text(encoding="utf-8"))["pipeline"]
    folders = {FLOAT32: exported}
    folders |= {name: context.inputs["quantize"] / name for name in settings.variants}
    probes = _probes(context, settings)
    duration_sec = settings.duration_sec
    reference = None
    quality: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    for number, (name, folder) in enumerate(folders.items()):
        context.emit(number, len(folders), "bundles", name)
        backend = open_unpublished(folder, pipeline, QUALITY_THREADS)
        latents = final_latents(backend, probes, steps=settings.steps, duration_sec=duration_sec)
        if reference is None:
            reference = latents
        else:
            pairs = zip(latents, reference, strict=True)
            quality[name] = {
                "seeds": settings.seeds,
                "steps": settings.steps,
                "duration_sec": duration_sec,
                "latent_distance": summarise([latent_distance(*pair) for pair in pairs]),
            }
        ratio = render_time_ratio(
            open_unpublished(folder, pipeline, 0),
            probes[0],
            steps=settings.steps,
            duration_sec=duration_sec,
        )
        measured[name] = {
            "CPUExecutionProvider": {"render_time_ratio": ratio, "steps": settings.steps}
        }
    context.emit(len(folders), len(folders), "bundles")
    _check_gates(quality, settings.max_distance)
    listing = {
        "prompts": [probe.prompt for probe in probes],
        "variants": quality,
        "measured": measured,
    }
    text = json.dumps(listing, indent=1, ensure_ascii=False)
    (context.work / "measure.json").write_text(text + "\n", encoding="utf-8")
    distances = {name: found["latent_distance"]["mean"] for name, found in quality.items()}
    return Outcome(facts={"latent_distance": distances}, measured=measured)


def _probes(context: StageContext, settings: Settings) -> list[Any]:
    from lofi_engine.measuring.render import Probe
    from lofi_runtime.styles.prompts import expand_style
    from lofi_runtime.styles.taxonomy import load_styles

    styles = list(load_styles(settings.styles.folder(context.home)).values())
    return [
        Probe(expand_style(styles[number % len(styles)], context.seed + number), number)
        for number in range(settings.seeds)
    ]


def _check_gates(quality: Mapping[str, Any], bounds: Mapping[str, float]) -> None:
    failed = []
    for name, bound in bounds.items():
        distance = quality[name]["latent_distance"]["mean"]
        if not distance <= bound:  # also when it is not a number
            failed.append(
                f"measure: variant {name}: its latent distance from float32 is {distance:.4g}, "
                f"measure.max_distance.{name} allows {bound:g} - give it more bytes or bits, or "
                "raise the bound"
            )
    if failed:
        raise GateError(failed)
