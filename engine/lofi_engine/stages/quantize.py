"""Makes every variant of the recipe from the exported graphs, one folder each.

A folder is a whole bundle, the decoder's two halves included, plus `record.json`: bytes by
component, weights by width, coverage, distance from float32, and the oldest ONNX Runtime that loads
it. Where a variant is calibrated, float32 renders the recipe's calibration prompts first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.quantization.rules import is_calibrated
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_runtime.atomic import read_json, write_json
from lofi_runtime.bundle import OPTIONAL_GRAPHS
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION

if TYPE_CHECKING:
    from lofi_engine.calibration.calibration import Calibration
    from lofi_engine.quantization.work import Bundle

VERSION = 4

RECORD_FILE = "record.json"
EXPORT_RECORD = "export.json"
MODEL_FILE = "model.json"


@dataclass(frozen=True)
class Calibrating:
    """What calibration renders.

    Args:
        prompts: how many.
        duration_sec: of each.
        styles: that they are prompts of.
        pipeline_version: of the code that renders them.
    """

    prompts: int
    duration_sec: int
    styles: StylesSource
    pipeline_version: int


@dataclass(frozen=True)
class Settings:
    """Which variants to make, by name; and what calibrates them, where one needs it."""

    variants: Mapping[str, model.Variant]
    calibrating: Calibrating | None = None


def settings(recipe: model.Recipe) -> Settings:
    """Take the variants from the recipe."""
    calibrating = None
    if any(map(is_calibrated, recipe.variants.values())):
        duration_sec = math.ceil(recipe.measure.duration_sec)
        styles = styles_source(recipe)
        calibrating = Calibrating(
            recipe.calibration.prompts, duration_sec, styles, PIPELINE_VERSION
        )
    return Settings(recipe.variants, calibrating)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The recipe's own styles give the calibration prompts."""
    return styles_folders(recipe) if settings(recipe).calibrating else ()


def run(context: StageContext, settings: Settings) -> Outcome:
    """Write one bundle for every variant, each loaded, run and compared before it counts.

    Raises:
        StageError: a variant cannot be made, is not what its name says, or is over its budget.
    """
    from lofi_engine.quantization.build import build_variant
    from lofi_engine.quantization.rules import check_variant

    source = context.inputs["export"]
    graphs, others = read_listing(source / EXPORT_RECORD)
    components = [Path(file).stem for file in graphs]
    for name, variant in settings.variants.items():
        check_variant(name, variant, components)
    total = len(graphs) * len(settings.variants)
    context.emit(0, total, "graphs", "running the float32 graphs")
    bundle = _open_bundle(source, graphs, others)
    facts: dict[str, int] = {}
    with ExitStack() as afterwards:
        if settings.calibrating is not None:
            calibration = _calibration(context, settings.calibrating, source)
            afterwards.callback(calibration.close)
            bundle = replace(bundle, calibration=calibration)
        for number, (name, variant) in enumerate(settings.variants.items()):
            folder = context.work / name
            folder.mkdir()
            before = number * len(graphs)

            def report(stored: int, message: str, before: int = before) -> None:
                context.emit(before + stored, total, "graphs", message)

            record = build_variant(name, variant, bundle, folder, report)
            write_json(folder / RECORD_FILE, record)
            facts[name] = record["total_bytes"]
    return Outcome(
        facts={"total_bytes": facts},
        measured_files=frozenset(f"{name}/{RECORD_FILE}" for name in settings.variants),
    )


def _calibration(context: StageContext, calibrating: Calibrating, source: Path) -> Calibration:
    from lofi_engine.calibration.calibration import Calibration
    from lofi_engine.calibration.prompts import calibration_prompts
    from lofi_runtime.styles.taxonomy import load_styles

    styles = load_styles(calibrating.styles.folder(context.home))
    return Calibration(
        source,
        read_json(source / MODEL_FILE)["pipeline"],
        calibration_prompts(styles, calibrating.prompts, context.seed % 2**32),
        context.progress,
        duration_sec=calibrating.duration_sec,
        report=context.emit,
    )


def read_listing(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the export's whole graphs and its other files, as its record lists them."""
    if not path.is_file():
        raise StageError(f"quantize: {path} is missing", hint="run the export stage again")
    listing = read_json(path)
    graphs = tuple(graph["file"] for graph in listing["graphs"])
    return _without_halves(graphs), _without_halves(listing["files"])


def _without_halves(files: Iterable[str]) -> tuple[str, ...]:
    """Leave out what is cut anew from every variant's decoder."""
    return tuple(file for file in files if file not in OPTIONAL_GRAPHS)


def _open_bundle(folder: Path, graphs: tuple[str, ...], others: tuple[str, ...]) -> Bundle:
    from lofi_engine.onnx_graphs.examples import EXAMPLES_FILE, load_examples
    from lofi_engine.onnx_graphs.sessions import GraphSession
    from lofi_engine.quantization.work import Bundle

    examples = load_examples(folder / EXAMPLES_FILE)
    references = {}
    for file in graphs:
        component = Path(file).stem
        if component not in examples:
            raise StageError(f"{EXAMPLES_FILE} has no inputs for {component}")
        references[component] = GraphSession(folder / file).run(examples[component])
    return Bundle(folder, graphs, others, examples, references)
