"""What a user types while thinking must answer at once: no torch, no ONNX Runtime behind it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lofi_runtime.shared_data import shared_folder

HEAVY = ("torch", "onnxruntime", "onnx", "transformers", "diffusers", "peft", "librosa", "scipy")
SCRIPT = """
import json, sys
sys.argv = ["lofi-recipe", *json.loads(sys.argv[1])]
from lofi_engine.cli.main import main
try:
    main()
except SystemExit as done:
    code = done.code
print(json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["validate", "RECIPE"],
        ["plan", "RECIPE"],
        ["ls"],
        ["run", "--help"],
        ["data", "report", "RECIPE"],
        ["data", "plan", "RECIPE"],
        ["measure", "--list"],
        ["data", "outreach", "RECIPE", "--artist", "Ann", "--tracks", "1"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments):
    starter = str(shared_folder("recipes") / "starter.yaml")
    given = [starter if word == "RECIPE" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(given)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] == 0, done.stderr
    assert not set(HEAVY) & set(said["modules"])


def test_the_runtime_imports_neither_torch_nor_the_engine():
    modules = "lofi_runtime.cli, lofi_runtime.server, lofi_runtime.worker_main, lofi_runtime.bundle"
    done = subprocess.run(
        [sys.executable, "-c", f"import {modules}, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not {"torch", "lofi_engine", "transformers", "onnx", "librosa"} & loaded
