"""Writes a bundle's manifest: what it is, how it was made, what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.dependence import axis_sizes
from lofi_engine.onnx_graphs.oldest import loads_in_daemon
from lofi_engine.onnx_graphs.tensors import array_of
from lofi_engine.publishing.facts import Release
from lofi_runtime.bundle import file_records, manifest_problem
from lofi_runtime.manifest import FORMAT

if TYPE_CHECKING:
    import onnx_ir as ir

CUSTOMARY_OPSET = {"fp16": 17, "int8": 17, "int4": 21}
"""What the specification expects of each width."""


def manifest_of(release: Release, variant: str, folder: Path) -> dict[str, Any]:
    """Describe the bundle that lies complete, but for its manifest, in `folder`.

    Raises:
        StageError: the result breaks `manifest.v1.schema.json`; nothing is published then.
    """
    record, measure = release.records[variant], release.measures[variant]
    manifest = {
        "format": FORMAT,
        "name": release.bundle(variant),
        "version": release.version,
        "family": release.base.family,
        "base": {
            "model": release.base.model,
            "revision": release.base.revision,
            "identity": release.identity,
        },
        "variant": variant,
        "recipe": {
            "sha256": release.recipe_sha256,
            "text": release.recipe_text,
            **({"changes": list(release.changes)} if release.changes else {}),
        },
        "files": file_records(folder),
        "graphs": _graphs(folder),
        "oldest_onnxruntime": record["oldest_onnxruntime"],
        "newest_onnxruntime": record["newest_onnxruntime"],
        "lofi_nvim_daemon": loads_in_daemon(record["oldest_onnxruntime"]),
        "opset": _opset(record),
        "widths": record["widths"],
        "operators": record["operators"],
        "coverage": record["coverage_total"],
        "quality": measure["quality"],
        "license": release.license,
        "attributions": list(release.attributions),
        "ledger": dict(release.ledger),
        "config": dict(release.pipeline),
        "measured": {
            **measure["measured"],
            **({"git_revision": release.git_revision} if release.git_revision else {}),
        },
    }
    problem = manifest_problem(manifest)
    if problem:
        raise StageError(f"publish: the manifest of {manifest['name']} is wrong: {problem}")
    return manifest


def _graphs(folder: Path) -> dict[str, Any]:
    import onnx_ir as ir

    return {path.name: _interface(ir.load(path).graph) for path in sorted(folder.glob("*.onnx"))}


def _interface(graph: ir.Graph) -> dict[str, Any]:
    """Describe what a graph takes and gives; an input with an initializer may be left out."""
    needed = [value for value in graph.inputs if value.name not in graph.initializers]
    optional = [value for value in graph.inputs if value.name in graph.initializers]
    described: dict[str, Any] = {
        "inputs": [_tensor(value) for value in needed],
        "outputs": [_tensor(value) for value in graph.outputs],
    }
    if optional:
        described["optional_inputs"] = [
            {**_tensor(value), "default": array_of(value).tolist()} for value in optional
        ]
    return described


def _tensor(value: ir.Value) -> dict[str, Any]:
    dtype = value.dtype.numpy().name if value.dtype is not None else ""
    return {"name": value.name, "dtype": dtype, "shape": list(axis_sizes(value))}


def _opset(record: Any) -> dict[str, Any]:
    customary = CUSTOMARY_OPSET.get(record["asked"]["weights"])
    if record["opset"] == customary:
        return {"version": record["opset"]}
    return {
        "version": record["opset"],
        "reason": "all variants share one export; 4-bit tensors need opset 21, and every ONNX "
        "Runtime from 1.20 on reads it",
    }
