"""What no model takes is refused, or cut and said, by every way in: none of it is silent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import MANIFEST_NAME, Bundle, open_bundle
from lofi_runtime.errors import BackendError, LofiError
from lofi_runtime.local import generate_to
from lofi_runtime.manifest import PipelineConfig
from lofi_runtime.pipeline import VERSION
from lofi_runtime.settings import Settings
from tests.support.rpc_client import RpcFailure
from tests.support.rpc_server import running_server
from tests.support.tiny_bundle import NAME, make_tiny_bundle, write_manifest

LONG_PROMPT = "rain, " * 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("limits") / NAME)


def quiet(*_: object) -> None:
    pass


@pytest.mark.parametrize(("duration_sec", "shortest"), [(0, 1), (241, 1), (-3, 1), (0, 5), (4, 5)])
def test_the_backend_itself_refuses_a_duration_outside_its_range(
    folder: Path, duration_sec: int, shortest: int
) -> None:
    config = PipelineConfig(**vars(open_bundle(folder).config) | {"min_duration_sec": shortest})
    backend = AceStepBackend(Bundle(folder, None, False, stated_config=config), threads=1)
    words = rf"duration_sec: {duration_sec} is outside {shortest} to 240, the range of ACE-Step \("
    with pytest.raises(BackendError, match=words):
        backend.generate(Request("rain", duration_sec, 1), quiet)


@pytest.mark.parametrize(("seconds", "span"), [("0", "1 to 600"), ("241", "1 to 240")])
def test_the_command_line_refuses_a_duration_before_anything_is_loaded(
    folder: Path, tmp_path: Path, seconds: str, span: str
) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "lofi_runtime.cli", "generate", "rain",
            "--duration-sec", seconds, "--bundle", str(folder),
        ],
        env={**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"duration_sec: {seconds} is outside {span}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("*.wav"))


@pytest.mark.parametrize(("seconds", "span"), [(0, "1 to 600"), (241, "1 to 240")])
def test_a_server_refuses_a_duration_by_its_own_code(
    folder: Path, tmp_path: Path, seconds: int, span: str
) -> None:
    with running_server(tmp_path, bundle=folder) as server, server.connect() as client:
        with pytest.raises(RpcFailure) as caught:
            client.call("generate", prompt="rain", duration_sec=seconds)
        assert caught.value.error["code"] == -32005
        assert caught.value.error["message"].startswith(
            f"duration_sec: {seconds} is outside {span}"
        )


@pytest.mark.parametrize(("seconds", "span"), [(0, "1 to 600"), (241, "1 to 240")])
def test_what_both_command_lines_call_refuses_a_duration(
    folder: Path, tmp_path: Path, seconds: int, span: str
) -> None:
    params = {"prompt": "rain", "duration_sec": seconds, "backend": "ace_step"}
    settings = Settings(bundle=folder, tracks=tmp_path / "tracks", threads=1)
    with pytest.raises(LofiError, match=f"duration_sec: {seconds} is outside {span}"):
        generate_to(params, settings, None, say=quiet)


def test_a_cut_prompt_is_said_by_the_command_line_and_kept_beside_the_track(
    folder: Path, tmp_path: Path
) -> None:
    params = {"prompt": LONG_PROMPT, "duration_sec": 1, "seed": 1, "inference_steps": 1}
    settings = Settings(bundle=folder, tracks=tmp_path / "tracks", threads=1)
    heard: list[str] = []
    path = generate_to(params, settings, None, say=heard.append)
    assert len(heard) == 1
    assert heard[0].startswith("prompt cut: ")
    assert heard[0].endswith(" tokens, this model takes 256")
    assert heard[0] in path.with_suffix(".json").read_text()


def test_another_pipeline_is_another_track(folder: Path, tmp_path: Path) -> None:
    from lofi_runtime.library import Library
    from lofi_runtime.requests import specify
    from lofi_runtime.rpc.schema import check_params

    library = Library(tmp_path, folder)
    spec, _ = specify(check_params("generate", {"prompt": "rain", "seed": 1}), library)
    assert spec.pipeline_version == VERSION
    assert "pipeline_version" not in spec.to_params()
    Request(**spec.to_request())
    asked = {"prompt": "rain", "seed": 1, "backend": "procedural"}
    procedural, _ = specify(check_params("generate", asked), library)
    assert procedural.pipeline_version is None


@pytest.mark.parametrize(
    ("file", "weight"),
    [
        ("text_encoder.onnx", "table"),
        ("transformer_encoder.onnx", "text_weight"),
        ("transformer_decoder.onnx", "one"),
        ("vocoder.onnx", "tones"),
    ],
)
def test_a_weight_that_is_no_number_is_found_by_the_graph_it_lies_in(
    folder: Path, tmp_path: Path, file: str, weight: str
) -> None:
    broken = shutil.copytree(folder, tmp_path / NAME)
    model = onnx.load(broken / file, load_external_data=False)
    tensor = next(one for one in model.graph.initializer if one.name == weight)
    array = numpy_helper.to_array(tensor).copy()
    array[...] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(array, weight))
    onnx.save_model(model, broken / file)
    write_manifest(broken, json.loads((folder / MANIFEST_NAME).read_text())["graphs"])
    with pytest.raises(BackendError, match=rf"{file}: '.*' holds values that are not numbers"):
        AceStepBackend(open_bundle(broken), threads=1).generate(Request("rain", 1, 1), quiet)
