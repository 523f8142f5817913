"""Proves before a long training that its model can be exported: days later is too late to learn it.

The base's transformer with an adapter of the recipe's shape merged into it, random weights in both
halves, goes through the export stage's own exporter as the decoder's graph, and ONNX Runtime must
load it and answer as torch does.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.recipe import model

if TYPE_CHECKING:
    from lofi_engine.models.family import GraphSpec
    from lofi_engine.onnx_graphs.export import GraphRecord

DECODER = "transformer_decoder.onnx"
WORTH_SEC = 600
"""A training shorter than this is left to the export stage, which comes soon enough."""
MEMORY_RATIO = 1.5
"""Peak memory of exporting over the float32 weights: what `bench/bench_export_memory.py` allows."""
_NOISE = 0.01


def left_out_because(
    training_sec: float, transformer_bytes: int, *, memory: int, disk: int
) -> str | None:
    """Say why the proof is left out, or None where it is due.

    Args:
        training_sec: how long the training will take.
        transformer_bytes: of its weights in float32.
        memory: free bytes.
        disk: free bytes.
    """
    if training_sec < WORTH_SEC:
        return "the export stage follows soon"
    needed = round(transformer_bytes * MEMORY_RATIO)
    if memory < needed:
        return f"it takes {needed / 1e9:.1f} GB of memory, {memory / 1e9:.1f} GB are free"
    if disk < transformer_bytes:
        return f"it takes {transformer_bytes / 1e9:.1f} GB of disk, {disk / 1e9:.1f} GB are free"
    return None


def prove_export(
    base: model.Base, lora: model.Lora, home: Path, folder: Path, *, seed: int
) -> GraphRecord:
    """Export and reload the decoder of the base with an adapter merged into it.

    Args:
        base: which base.
        lora: the adapter's shape.
        home: the recipe's folder.
        folder: where the graph is written; removed again.
        seed: of the adapter's weights.

    Returns:
        What was exported and how close it is to torch.

    Raises:
        StageError: it cannot be exported; says so before anything is trained.
    """
    from lofi_engine.onnx_graphs.export import prove_graph, write_graph

    folder.mkdir(parents=True)
    try:
        # A call of its own, so that no weight of torch's is left when the graph is loaded.
        written = write_graph(_merged_decoder(base, lora, home, seed), folder)
        return prove_graph(written, folder)
    except StageError as error:
        raise StageError(
            f"train: the trained model could not be exported: {error}",
            hint="nothing was trained yet; try the versions of torch, onnx and onnxruntime that "
            "pip install 'lofi-recipe[engine]' takes",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _merged_decoder(reference: model.Base, lora: model.Lora, home: Path, seed: int) -> GraphSpec:
    """Load the base in float32, merge an adapter that changes it, and give its decoder."""
    import torch

    from lofi_engine.models.loading import load_base
    from lofi_engine.training.adapters import add_adapter

    base = load_base(reference, home)
    adapted = add_adapter(base.transformer, lora, seed)
    adapted.eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(std=_NOISE, generator=generator)
    base.transformer = adapted.merge_and_unload()
    return next(spec for spec in base.graphs() if spec.file == DECODER)
