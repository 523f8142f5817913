"""Writes the merged model as float32 ONNX graphs, each proven equal to its torch module.

Leaves the graphs, the bundle's other files, `export.json` (a record a graph, parity included),
`examples.safetensors` (the inputs the proofs used, for every later check) and `model.json` (the
base's identity and the figures a runtime needs).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, family_of, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base

VERSION = 1

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

    Raises:
        StageError: the merged weights do not fit the base, or a graph differs from its module.
    """
    from lofi_engine.onnx_graphs.examples import EXAMPLES_FILE, save_examples
    from lofi_engine.onnx_graphs.export import export_graph

    use_threads(context.threads)
    base = load_base(settings.base, context.home)
    _load_merged(base.transformer, context.inputs["merge"] / MERGED)
    specs = base.graphs()
    context.emit(0, len(specs), "graphs")
    records = []
    for done, spec in enumerate(specs, start=1):
        record = export_graph(spec, context.work, opset=settings.opset)
        records.append(record)
        worst = max((found.relative_difference for found in record.parity), default=0.0)
        context.emit(done, len(specs), "graphs", f"{spec.file}, {worst:.1e} from torch")
    files = base.bundle_files()
    for name, content in files.items():
        (context.work / name).write_bytes(content)
    _describe_model(context.work / MODEL_FILE, settings.base, base)
    save_examples(context.work / EXAMPLES_FILE, specs)
    listing = {
        "opset": settings.opset,
        "graphs": [asdict(record) for record in records],
        "files": sorted(files),
    }
    text = json.dumps(listing, indent=1) + "\n"
    (context.work / RECORD_FILE).write_text(text, encoding="utf-8")
    return Outcome(
        facts={"opset": settings.opset, "graphs": [record.file for record in records]},
        measured={
            "parity": max(
                found.relative_difference for record in records for found in record.parity
            )
        },
        measured_files=frozenset({RECORD_FILE}),
    )


def _describe_model(path: Path, reference: model.Base, base: Base) -> None:
    """Write what every later stage and the manifests say of the model without loading it."""
    described = {
        "identity": base.identity,
        "pipeline": family_of(reference).pipeline_config(base),
    }
    path.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _load_merged(transformer: torch.nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    if not path.is_file():
        raise StageError(f"export: {path} is missing", hint="run the merge stage again")
    state = load_file(path)
    wanted = transformer.state_dict()
    for what, names in (
        ("lacks", wanted.keys() - state),
        ("has an unknown", state.keys() - wanted),
    ):
        if names:
            raise StageError(
                f"export: {path.name} {what} '{min(names)}' and {len(names) - 1} others",
                hint="it was merged from another base; run the merge stage again",
            )
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            raise StageError(
                f"export: {path.name}: '{name}' has shape {tuple(tensor.shape)}, the base has "
                f"{tuple(wanted[name].shape)}",
                hint="it was merged from another base; run the merge stage again",
            )
    transformer.load_state_dict(state)
