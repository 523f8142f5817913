"""Measures every variant against float32 at equal seeds, and holds it to the recipe's bounds.

Rendered by the runtime's own pipeline. Distances are reproducible and published as quality;
times are of this machine and published as measured. Where the recipe bounds what is heard, the
same latents are decoded too, and `clips/` keeps a few of each bundle to listen to.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError, StageError
from lofi_engine.measuring.locations import folders_of, pinned
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_runtime.atomic import read_json, write_json
from lofi_runtime.errors import BackendError, ManyProblemsError
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.measuring.clip_sets import RenderedClips
    from lofi_engine.measuring.listening import Listening
    from lofi_engine.measuring.render import Probe

VERSION = 2
FLOAT32 = "float32"
_RENDERED, _CLIPS = "rendered", "clips"


class GateError(ManyProblemsError, StageError):
    """Variants are broken, or further from float32 than the recipe allows; one line each."""


@dataclass(frozen=True)
class Settings:
    """What is rendered and what is allowed; models are pinned to what they are today."""

    seeds: int
    steps: int
    duration_sec: int
    max_distance: Mapping[str, float]
    fad: model.FadGate | None
    clap: model.ClapGate | None
    variants: tuple[str, ...]
    styles: StylesSource
    pipeline_version: int


def settings(recipe: model.Recipe) -> Settings:
    """Take what measuring needs from the recipe."""
    measure = recipe.measure
    fad, clap = measure.fad, measure.clap
    return Settings(
        seeds=measure.seeds,
        steps=measure.steps,
        duration_sec=math.ceil(measure.duration_sec),
        max_distance=dict(measure.max_distance.bounds),
        fad=fad and replace(fad, embedding=pinned(fad.embedding)),
        clap=clap and replace(clap, model=pinned(clap.model)),
        variants=tuple(recipe.variants),
        styles=styles_source(recipe),
        pipeline_version=PIPELINE_VERSION,
    )


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The recipe's own styles give the prompts; models in folders listen."""
    fad, clap = recipe.measure.fad, recipe.measure.clap
    models = ([fad.embedding] if fad else []) + ([clap.model] if clap else [])
    return (*styles_folders(recipe), *folders_of(models, recipe.home))


def run(context: StageContext, settings: Settings) -> Outcome:
    """Render the probes with float32 and every variant; write `measure.json`.

    Raises:
        GateError: a variant is further from float32 than the recipe allows, or gives what is no
            number.
        StageError: the tracks, or float32's own clips, would give figures that mean nothing.
        BackendError: a variant cannot be loaded or run.
    """
    from lofi_engine.measuring.gates import distance_failure
    from lofi_engine.measuring.latents import latent_fault, latent_quality
    from lofi_engine.measuring.listening import open_listening

    folders = {name: context.inputs["quantize"] / name for name in settings.variants}
    exported = context.inputs["export"]
    listening = open_listening(
        settings.fad, settings.clap, context.inputs, context.home, context.warn
    )
    bench = _Bench(context, settings, read_json(exported / "model.json")["pipeline"], listening)
    bench.begin(0, FLOAT32)
    reference = bench.latents(exported)
    if fault := latent_fault(reference):
        raise GateError([f"measure: float32: {fault} - train again"])
    measured = {FLOAT32: bench.speed(exported)}
    heard_float32 = bench.hear_float32(exported, reference)
    quality: dict[str, Any] = {}
    failures: list[str] = []
    for number, (name, folder) in enumerate(folders.items()):
        bench.begin(number + 1, name)
        latents = bench.latents(folder)
        if fault := latent_fault(latents):
            failures.append(
                f"measure: variant {name}: {fault} - keep more of it in fp16 (keep_fp16), or give "
                "it more bits"
            )
            continue
        quality[name] = {**bench.conditions, **latent_quality(latents, reference)}
        failures += [distance_failure(name, quality[name], settings.max_distance)]
        heard, missed = bench.hear(name, folder, latents)
        quality[name] |= heard
        failures += missed
        measured[name] = bench.speed(folder)
    context.emit(len(folders) + 1, len(folders) + 1, "bundles")
    if failures := [line for line in failures if line]:
        raise GateError(failures)
    shutil.rmtree(context.work / _RENDERED, ignore_errors=True)
    listing = {
        "prompts": [probe.prompt for probe in bench.probes],
        FLOAT32: heard_float32,
        "variants": quality,
        "measured": measured,
    }
    write_json(context.work / "measure.json", listing)
    return Outcome(
        facts=_facts(quality), measured=measured, measured_files=_clip_files(context.work)
    )


class _Bench:
    """Renders and measures bundles one after another; at full size each open one takes 12 GB.

    Args:
        context: of the stage.
        settings: of the stage.
        pipeline: the figures a manifest will hold.
        listening: measures what is heard; None where the recipe does not ask for it.
    """

    def __init__(
        self,
        context: StageContext,
        settings: Settings,
        pipeline: Mapping[str, Any],
        listening: Listening | None,
    ) -> None:
        self.probes = _probes(context, settings)
        self._context = context
        self._settings = settings
        self._pipeline = pipeline
        self._listening = listening
        self._number, self._name = 0, ""

    @property
    def conditions(self) -> dict[str, int]:
        """What every figure of a variant was rendered with."""
        settings = self._settings
        return {
            "seeds": settings.seeds,
            "steps": settings.steps,
            "duration_sec": settings.duration_sec,
        }

    def begin(self, number: int, name: str) -> None:
        """Tell which bundle comes."""
        self._number, self._name = number, name
        self._tell(name)

    def latents(self, folder: Path) -> list[npt.NDArray[np.float32]]:
        """Denoise the probes."""
        from lofi_engine.measuring.render import QUALITY_THREADS, final_latents, open_unpublished

        return final_latents(
            open_unpublished(folder, self._pipeline, QUALITY_THREADS),
            self.probes,
            steps=self._settings.steps,
            duration_sec=self._settings.duration_sec,
            on_probe=lambda done: self._tell_of("denoised", done, len(self.probes)),
        )

    def speed(self, folder: Path) -> dict[str, Any]:
        """Time a render with all threads."""
        from lofi_engine.measuring.render import open_unpublished, time_render

        steps = self._settings.steps
        speed = time_render(
            open_unpublished(folder, self._pipeline, 0),
            self.probes[0],
            steps=steps,
            duration_sec=self._settings.duration_sec,
        )
        return {"CPUExecutionProvider": asdict(speed)}

    def hear_float32(
        self, folder: Path, latents: Sequence[npt.NDArray[np.float32]]
    ) -> dict[str, Any]:
        """Measure float32's sound; nothing where the recipe does not ask for it.

        Raises:
            GateError: no change is a share of its figure.
            StageError: it would give a figure that means nothing.
        """
        from lofi_engine.measuring.gates import baseless_failure, bounds_of
        from lofi_engine.measuring.records import figure_record

        if self._listening is None:
            return {}
        try:
            clips = self._rendered(FLOAT32, folder, latents)
            figures = self._listening.float32(clips, self._on_clip)
        except MetricError as error:
            raise StageError(f"measure: {error.message}", hint=error.hint) from error
        bounds = bounds_of(self._settings.fad, self._settings.clap)
        if baseless := [line for one in figures if (line := baseless_failure(one, bounds))]:
            raise GateError(baseless)
        return {figure.metric: figure_record(figure) for figure in figures}

    def hear(
        self, name: str, folder: Path, latents: Sequence[npt.NDArray[np.float32]]
    ) -> tuple[dict[str, Any], list[str]]:
        """Compare a variant's sound with float32's; give its figures and the bounds it misses."""
        from lofi_engine.measuring.gates import bounds_of, change_failure
        from lofi_engine.measuring.records import difference_record

        if self._listening is None:
            return {}, []
        try:
            clips = self._rendered(name, folder, latents)
            found = tuple(self._listening.differences(clips, self._on_clip))
        except (MetricError, BackendError) as error:  # its sound: silent, or no number
            return {}, [f"measure: variant {name}: {error}"]
        shutil.rmtree(self._context.work / _RENDERED / name)
        records = {difference.metric: difference_record(difference) for difference in found}
        bounds = bounds_of(self._settings.fad, self._settings.clap)
        return records, [change_failure(name, one, bounds) for one in found]

    def _rendered(
        self, label: str, folder: Path, latents: Sequence[npt.NDArray[np.float32]]
    ) -> RenderedClips:
        from lofi_engine.measuring.clip_sets import RenderedClips, keep_some
        from lofi_engine.measuring.render import sounds
        from lofi_engine.metrics.clips import ClipFacts

        clips = RenderedClips(label, self._context.work / _RENDERED / label)
        decoded = sounds(folder, self._pipeline, latents, duration_sec=self._settings.duration_sec)
        for number, (probe, samples) in enumerate(zip(self.probes, decoded, strict=True), 1):
            facts = ClipFacts(prompt=probe.prompt, style=probe.style, seed=probe.seed)
            clips.add(probe.name, samples, facts)
            self._tell_of("decoded", number, len(self.probes))
        keep_some(clips, self._context.work / _CLIPS / label)
        return clips

    def _on_clip(self, done: int, total: int, _name: str) -> None:
        self._tell_of("heard", done, total)

    def _tell_of(self, what: str, done: int, total: int) -> None:
        self._tell(f"{self._name}: {what} {done} of {total}")

    def _tell(self, message: str) -> None:
        total = len(self._settings.variants) + 1
        self._context.emit(self._number, total, "bundles", message)


def _probes(context: StageContext, settings: Settings) -> list[Probe]:
    from lofi_engine.measuring.render import Probe
    from lofi_runtime.styles.prompts import expand_style
    from lofi_runtime.styles.taxonomy import load_styles

    styles = list(load_styles(settings.styles.folder(context.home)).values())
    chosen = [styles[number % len(styles)] for number in range(settings.seeds)]
    return [
        Probe(expand_style(style, context.seed + number), number, style.id)
        for number, style in enumerate(chosen)
    ]


def _facts(quality: Mapping[str, Any]) -> dict[str, Any]:
    """Give each variant's figures in short, by metric."""
    facts: dict[str, Any] = {
        "latent_distance": {
            name: found["latent_distance"]["mean"] for name, found in quality.items()
        }
    }
    for metric in ("fad", "clap"):
        values = {
            name: found[metric]["value"] for name, found in quality.items() if metric in found
        }
        if values:
            facts[metric] = values
    return facts


def _clip_files(work: Path) -> frozenset[str]:
    """Name the kept clips: for ears, so no part of what is hashed."""
    files = (work / _CLIPS).rglob("*")
    return frozenset(path.relative_to(work).as_posix() for path in files if path.is_file())
