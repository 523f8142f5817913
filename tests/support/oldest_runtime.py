"""Graphs run by the oldest ONNX Runtime we make variants for, in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.programs import require

OLDEST = "ONNX Runtime 1.20"

_SCRIPT = """
import json, sys
import numpy, onnxruntime
onnxruntime.set_default_logger_severity(4)
answers = {"version": onnxruntime.__version__, "refused": {}}
for name, (graph, inputs, outputs) in json.loads(sys.argv[1]).items():
    try:
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        found = session.run(None, dict(numpy.load(inputs)))
    except Exception as error:
        answers["refused"][name] = str(error)
        continue
    names = [value.name for value in session.get_outputs()]
    numpy.savez(outputs, **dict(zip(names, found)))
print(json.dumps(answers))
"""


def run_in_oldest(
    graphs: Mapping[str, tuple[Path, Mapping[str, Any]]],
) -> tuple[str, dict[str, dict[str, Any]], dict[str, str]]:
    """Load and run graphs in the second environment; the test skips, or fails, where it is absent.

    Args:
        graphs: by a name, the file and its inputs.

    Returns:
        The release that ran them, the outputs by name, and why others were refused.
    """
    python = require(OLDEST)
    with tempfile.TemporaryDirectory(prefix="oldest-runtime-") as place:
        asked = {}
        for number, (name, (graph, inputs)) in enumerate(graphs.items()):
            given, answered = Path(place, f"{number}-in.npz"), Path(place, f"{number}-out.npz")
            np.savez(given, **inputs)
            asked[name] = [str(graph), str(given), str(answered)]
        ran = subprocess.run(
            [python, "-c", _SCRIPT, json.dumps(asked)],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        answers = json.loads(ran.stdout)
        outputs = {
            name: dict(np.load(places[2]))
            for name, places in asked.items()
            if name not in answers["refused"]
        }
    return answers["version"], outputs, answers["refused"]
