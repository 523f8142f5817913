"""Writes the merged model as float32 ONNX graphs, each proven equal to its torch module.

Leaves the graphs, the decoder's two halves among them, the bundle's other files, `export.json` (a
record a graph, parity included, and what was left out), `examples.safetensors` (inputs of every
graph, for every later check) and `model.json` (the base's identity and the figures a runtime
needs).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, family_of, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads

if TYPE_CHECKING:
    from lofi_engine.models.family import Base
    from lofi_engine.onnx_graphs.export import GraphRecord, Written

VERSION = 2

OPSET = 21
"""The oldest with 4-bit tensors; ONNX Runtime 1.20 reads it."""

RECORD_FILE = "export.json"
MODEL_FILE = "model.json"
MERGED = Path("transformer") / "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Settings:
    """What shapes the graphs besides the merged weights."""

    base: model.Base
    opset: int


def settings(recipe: model.Recipe) -> Settings:
    """Take what exporting needs from the recipe."""
    return Settings(base_of(recipe), OPSET)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Export every graph of the bundle, and write its other files.

    In two phases: torch writes every graph and says what it answers, then, with its weights gone,
    ONNX Runtime loads and proves them one after the other.

    Raises:
        StageError: the merged weights do not fit the base, or a graph differs from its module.
    """
    use_threads(context.threads)
    phase = _write_graphs(context, settings)
    records = _prove_graphs(context, phase.graphs)
    listing = {
        "opset": settings.opset,
        "graphs": [asdict(record) for record in records],
        "files": phase.files,
        "left_out": phase.left_out,
    }
    text = json.dumps(listing, indent=1) + "\n"
    (context.work / RECORD_FILE).write_text(text, encoding="utf-8")
    return Outcome(
        facts={
            "opset": settings.opset,
            "graphs": [record.file for record in records],
            "left_out": phase.left_out,
        },
        measured={"parity": max(_worst(record) for record in records)},
        measured_files=frozenset({RECORD_FILE}),
    )


@dataclass(frozen=True)
class _Phase:
    """What torch leaves behind once its weights are gone.

    Args:
        graphs: the graphs, written and not proven.
        files: the bundle's other files.
        left_out: how many weights no graph holds, by what they are.
    """

    graphs: tuple[Written, ...]
    files: list[str]
    left_out: dict[str, int]


def _write_graphs(context: StageContext, settings: Settings) -> _Phase:
    from lofi_engine.onnx_graphs.examples import EXAMPLES_FILE, save_examples
    from lofi_engine.onnx_graphs.export import write_graph

    base = _load_merged(context, settings)
    files = base.bundle_files()
    for name, content in files.items():
        (context.work / name).write_bytes(content)
    _describe_model(context.work / MODEL_FILE, settings.base, base)
    specs = list(base.graphs())
    save_examples(context.work / EXAMPLES_FILE, specs)
    left_out = dict(base.left_out(specs))
    context.note(_left_out_words(left_out))
    del base  # each graph's weights go once it is written, what no graph holds goes now
    files_in_order = [spec.file for spec in specs]
    # Last those that hold their weights: they are put together in memory, when most is free.
    specs.sort(key=lambda spec: spec.external_weights is None)
    context.emit(0, len(files_in_order), "graphs written")
    graphs: dict[str, Written] = {}
    while specs:
        spec = specs.pop(0)
        graphs[spec.file] = write_graph(spec, context.work, opset=settings.opset)
        context.emit(len(graphs), len(files_in_order), "graphs written", spec.file)
        del spec
        gc.collect()  # modules and what traced them refer to each other
    in_order = tuple(graphs[file] for file in files_in_order)
    return _Phase(in_order, sorted(files), left_out)


def _prove_graphs(context: StageContext, graphs: tuple[Written, ...]) -> tuple[GraphRecord, ...]:
    from lofi_engine.onnx_graphs.export import prove_graph
    from lofi_engine.onnx_graphs.halves_proof import can_be_cut, prove_halves

    total = len(graphs) + 2 * sum(can_be_cut(written) for written in graphs)
    context.emit(0, total, "graphs proven")
    records: list[GraphRecord] = []
    halves: list[GraphRecord] = []
    for written in graphs:
        records.append(prove_graph(written, context.work))
        done = len(records) + len(halves)
        context.emit(done, total, "graphs proven", _distance_words(written.file, records[-1]))
        if can_be_cut(written):
            halves.extend(prove_halves(written, records[-1], context.work))
            words = _distance_words(f"{written.file} in two", halves[-1])
            context.emit(done + 2, total, "graphs proven", words)
    return (*records, *halves)


def _worst(record: GraphRecord) -> float:
    return max((found.relative_difference for found in record.parity), default=0.0)


def _distance_words(file: str, record: GraphRecord) -> str:
    return f"{file}, {_worst(record):.1e} from torch"


def _left_out_words(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{kind} {_millions(count)}" for kind, count in counts.items())
    return f"left out {_millions(sum(counts.values()))} weights that never run: {parts or 'none'}"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count:,}"


def _describe_model(path: Path, reference: model.Base, base: Base) -> None:
    """Write what every later stage and the manifests say of the model without loading it."""
    described = {
        "identity": base.identity,
        "pipeline": family_of(reference).pipeline_config(base),
    }
    path.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _load_merged(context: StageContext, settings: Settings) -> Base:
    """Load the base with the merged transformer; the base's own transformer is not read."""
    merged = context.inputs["merge"] / MERGED
    if not merged.is_file():
        raise StageError(f"export: {merged} is missing", hint="run the merge stage again")
    # Stages' folders start where the program was called, a base's files at the recipe.
    return load_base(settings.base, context.home, transformer=merged.absolute())
