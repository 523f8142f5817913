"""Measures every variant against float32 at equal seeds, and holds it to the recipe's bounds.

Rendered by the runtime's own pipeline. Distances are reproducible and published as quality;
times are of this machine and published as measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_runtime.atomic import read_json, write_json
from lofi_runtime.errors import ManyProblemsError
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.measuring.render import Probe

VERSION = 1
FLOAT32 = "float32"


class GateError(ManyProblemsError, StageError):
    """Variants are broken, or further from float32 than the recipe allows; one line each."""


@dataclass(frozen=True)
class Settings:
    """What is rendered and what is allowed."""

    seeds: int
    steps: int
    duration_sec: int
    max_distance: Mapping[str, float]
    variants: tuple[str, ...]
    styles: StylesSource
    pipeline_version: int


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
        pipeline_version=PIPELINE_VERSION,
    )


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The recipe's own styles give the prompts."""
    return styles_folders(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Render the probes with float32 and every variant; write `measure.json`.

    Raises:
        GateError: a variant is further from float32 than `measure.max_distance` allows, or gives
            what is no number.
        BackendError: a variant cannot be loaded or run.
    """
    from lofi_engine.measuring.distance import latent_distance, summarise

    exported = context.inputs["export"]
    rendering = _Rendering(
        pipeline=read_json(exported / "model.json")["pipeline"],
        probes=_probes(context, settings),
        steps=settings.steps,
        duration_sec=settings.duration_sec,
    )
    folders = {name: context.inputs["quantize"] / name for name in settings.variants}
    total = len(folders) + 1
    context.emit(0, total, "bundles", FLOAT32)
    reference = rendering.latents(exported)
    if not _all_finite(reference):
        raise GateError(["measure: float32: its latents are not finite - train again"])
    measured = {FLOAT32: rendering.speed(exported)}
    quality: dict[str, Any] = {}
    broken = []
    for number, (name, folder) in enumerate(folders.items()):
        context.emit(number + 1, total, "bundles", name)
        latents = rendering.latents(folder)
        if not _all_finite(latents):
            broken.append(
                f"measure: variant {name}: its latents are not finite - keep more of it in fp16 "
                "(keep_fp16), or give it more bits"
            )
            continue
        pairs = zip(latents, reference, strict=True)
        quality[name] = {
            "seeds": settings.seeds,
            "steps": settings.steps,
            "duration_sec": settings.duration_sec,
            "latent_distance": summarise([latent_distance(*pair) for pair in pairs]),
        }
        measured[name] = rendering.speed(folder)
    context.emit(total, total, "bundles")
    _check_gates(quality, settings.max_distance, broken)
    listing = {
        "prompts": [probe.prompt for probe in rendering.probes],
        "variants": quality,
        "measured": measured,
    }
    write_json(context.work / "measure.json", listing)
    distances = {name: found["latent_distance"]["mean"] for name, found in quality.items()}
    return Outcome(facts={"latent_distance": distances}, measured=measured)


@dataclass(frozen=True)
class _Rendering:
    """What is rendered with each bundle; one is open at a time, at full size each takes 12 GB."""

    pipeline: Mapping[str, Any]
    probes: Sequence[Probe]
    steps: int
    duration_sec: int

    def latents(self, folder: Path) -> list[npt.NDArray[np.float32]]:
        from lofi_engine.measuring.render import QUALITY_THREADS, final_latents, open_unpublished

        return final_latents(
            open_unpublished(folder, self.pipeline, QUALITY_THREADS),
            self.probes,
            steps=self.steps,
            duration_sec=self.duration_sec,
        )

    def speed(self, folder: Path) -> dict[str, Any]:
        from lofi_engine.measuring.render import open_unpublished, render_time_ratio

        ratio = render_time_ratio(
            open_unpublished(folder, self.pipeline, 0),
            self.probes[0],
            steps=self.steps,
            duration_sec=self.duration_sec,
        )
        return {"CPUExecutionProvider": {"render_time_ratio": ratio, "steps": self.steps}}


def _all_finite(latents: Sequence[npt.NDArray[np.float32]]) -> bool:
    import numpy as np

    return all(bool(np.isfinite(one).all()) for one in latents)


def _probes(context: StageContext, settings: Settings) -> list[Probe]:
    from lofi_engine.measuring.render import Probe
    from lofi_runtime.styles.prompts import expand_style
    from lofi_runtime.styles.taxonomy import load_styles

    styles = list(load_styles(settings.styles.folder(context.home)).values())
    return [
        Probe(expand_style(styles[number % len(styles)], context.seed + number), number)
        for number in range(settings.seeds)
    ]


def _check_gates(
    quality: Mapping[str, Any], bounds: Mapping[str, float], broken: Sequence[str]
) -> None:
    failed = list(broken)
    for name, bound in bounds.items():
        if name not in quality:  # among the broken ones
            continue
        distance = quality[name]["latent_distance"]["mean"]
        if not distance <= bound:  # also when it is not a number
            failed.append(
                f"measure: variant {name}: its latent distance from float32 is {distance:.4g}, "
                f"measure.max_distance.{name} allows {bound:g} - give it more bytes or bits, or "
                "raise the bound"
            )
    if failed:
        raise GateError(failed)
