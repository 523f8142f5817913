"""A manifest for graphs that nobody published, so that the runtime plays them as a bundle.

Benchmarks want the code that users run: a bundle with a manifest has its answers checked for
numbers and takes the decoder's two halves; a folder without one is played more carefully.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, numpy_helper

from lofi_runtime.bundle import file_records
from lofi_runtime.manifest import FORMAT


def manifest_record(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the graphs in `folder` as a manifest does.

    Args:
        folder: every file in it is listed.
        config: the pipeline's figures, see `PipelineConfig`.
    """
    recipe = "version: 1\nname: benchmark\n"
    return {
        "format": FORMAT,
        "name": "benchmark",
        "version": "0.0.0",
        "family": "ace-step-v1",
        "base": {"model": "builtin:random", "revision": "main", "identity": "benchmark:random"},
        "variant": "benchmark",
        "recipe": {"sha256": sha256(recipe.encode()).hexdigest(), "text": recipe},
        "files": file_records(folder),
        "graphs": {path.name: _interface(path) for path in sorted(folder.glob("*.onnx"))},
        "oldest_onnxruntime": "1.20",
        "opset": {"version": 17},
        "widths": {},
        "coverage": 1.0,
        "license": "apache-2.0",
        "attributions": [],
        "ledger": {"tracks": 0, "duration_sec": 0, "licenses": {}},
        "config": dict(config),
    }


def _interface(path: Path) -> dict[str, Any]:
    graph = onnx.load(path, load_external_data=False).graph
    defaults = {one.name: one for one in graph.initializer}
    needed = [_tensor(value) for value in graph.input if value.name not in defaults]
    optional = [
        _tensor(value) | {"default": numpy_helper.to_array(defaults[value.name]).tolist()}
        for value in graph.input
        if value.name in defaults
    ]
    found = {"inputs": needed, "outputs": [_tensor(value) for value in graph.output]}
    return found | ({"optional_inputs": optional} if optional else {})


def _tensor(value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
        "shape": [size.dim_param or size.dim_value for size in tensor.shape.dim],
    }
