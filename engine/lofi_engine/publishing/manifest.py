"""Writes a bundle's manifest: what it is, how it was made, what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.publishing.facts import Release
from lofi_runtime.bundle import file_records, manifest_problem
from lofi_runtime.manifest import FORMAT

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
        "opset": _opset(record),
        "widths": record["widths"],
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
    from lofi_engine.onnx_graphs.sessions import GraphSession

    described = {}
    for path in sorted(folder.glob("*.onnx")):
        session = GraphSession(path)
        described[path.name] = {
            "inputs": [_tensor(vars(info)) for info in session.inputs],
            "outputs": [_tensor(vars(info)) for info in session.outputs],
        }
    return described


def _tensor(info: dict[str, Any]) -> dict[str, Any]:
    return {"name": info["name"], "dtype": info["dtype"], "shape": list(info["shape"])}


def _opset(record: Any) -> dict[str, Any]:
    customary = CUSTOMARY_OPSET.get(record["asked"]["weights"])
    if record["opset"] == customary:
        return {"version": record["opset"]}
    return {
        "version": record["opset"],
        "reason": "all variants share one export; 4-bit tensors need opset 21, and every ONNX "
        "Runtime from 1.20 on reads it",
    }
