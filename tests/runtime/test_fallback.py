"""A variant that cannot be loaded: the next one of the same model plays, and says so."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lofi_runtime.library import Library, Preferences
from lofi_runtime.local import generate_here
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.settings import Settings
from lofi_runtime.worker import WORKER_COMMAND
from tests.support.rpc_client import RpcFailure
from tests.support.rpc_server import running_server
from tests.support.tiny_bundle import make_tiny_bundle, write_manifest

ASKED = {"prompt": "rain", "duration_sec": 5, "inference_steps": 2, "seed": 1}


def install(models: Path, model: str, variant: str, seed: int = 7) -> Path:
    folder = make_tiny_bundle(models / f"{model}-{variant}", seed=seed)
    graphs = json.loads((folder / "manifest.json").read_text())["graphs"]
    write_manifest(folder, graphs, name=folder.name, variant=variant)
    return folder


def damage(folder: Path) -> None:
    """Change a weight: sizes stay, the hash does not."""
    path = folder / "transformer_decoder_weights.bin"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def test_the_next_variant_plays_and_the_warnings_say_why(tmp_path: Path) -> None:
    damage(install(tmp_path / "models", "lofi-tiny", "int8-fast"))
    install(tmp_path / "models", "lofi-tiny", "int8")
    with (
        running_server(tmp_path, worker_command=WORKER_COMMAND) as server,
        server.connect() as client,
    ):
        told = client.call("generate", **ASKED)
        done = client.wait_for("generation_complete", "generation_error")
        assert done["track_id"] == told["track_id"]
        assert done["warnings"][0].startswith("int8-fast failed: ")
        assert "transformer_decoder_weights.bin: sha256" in done["warnings"][0]
        assert done["warnings"][1] == "int8 is used instead"
        sidecar: dict[str, Any] = json.loads(Path(done["path"]).with_suffix(".json").read_text())
        # The store's id is that of the sound: what int8 makes is int8's track.
        assert sidecar["spec"]["precision"] == "int8"
        assert sidecar["track_id"] != told["track_id"]
        again = client.call("generate", **ASKED)
        assert (again["status"], again["track_id"]) == ("complete", sidecar["track_id"])


def test_a_precision_asked_for_by_name_is_not_replaced(tmp_path: Path) -> None:
    damage(install(tmp_path / "models", "lofi-tiny", "int8-fast"))
    install(tmp_path / "models", "lofi-tiny", "int8")
    with (
        running_server(tmp_path, worker_command=WORKER_COMMAND) as server,
        server.connect() as client,
    ):
        client.call("generate", **ASKED, precision="int8-fast")
        failed = client.wait_for("generation_complete", "generation_error")
        assert (failed["event"], failed["code"]) == ("generation_error", "MODEL_LOAD_FAILED")


def test_when_every_variant_fails_there_is_one_error(tmp_path: Path) -> None:
    for variant in ("int8-fast", "int8"):
        damage(install(tmp_path / "models", "lofi-tiny", variant))
    with (
        running_server(tmp_path, worker_command=WORKER_COMMAND) as server,
        server.connect() as client,
    ):
        client.call("generate", **ASKED)
        failed = client.wait_for("generation_complete", "generation_error")
        assert failed["code"] == "MODEL_LOAD_FAILED"
        assert "int8-fast failed" in failed["message"]
        assert "int8 failed" in failed["message"]
        client.call("ping")
        names = [name for name, _ in client.notifications()]
    assert names.count("generation_error") == 1


def test_the_command_line_falls_back_too(tmp_path: Path) -> None:
    damage(install(tmp_path / "models", "lofi-tiny", "int8-fast"))
    install(tmp_path / "models", "lofi-tiny", "int8")
    settings = Settings(models=tmp_path / "models", tracks=tmp_path / "tracks", threads=1)
    track = generate_here(ASKED, settings, lambda *_: None)
    assert track.sidecar["spec"]["precision"] == "int8"
    assert track.sidecar["warnings"][1] == "int8 is used instead"


def test_models_and_precisions_are_switched_by_request_in_one_worker(tmp_path: Path) -> None:
    for seed, (model, variant) in enumerate(
        [("lofi-rain", "int8"), ("lofi-rain", "int4"), ("lofi-snow", "int8")]
    ):
        install(tmp_path / "models", model, variant, seed)
    with (
        running_server(tmp_path, worker_command=WORKER_COMMAND) as server,
        server.connect() as client,
    ):
        models = client.call("get_backends")["backends"][1]["models"]
        assert [(one["lora"], len(one["variants"])) for one in models] == [
            ("lofi-rain", 2),
            ("lofi-snow", 1),
        ]
        made, pids = set(), set()
        for lora, precision in [
            ("lofi-rain", "int8"),
            ("lofi-rain", "int4"),
            ("lofi-snow", "auto"),
        ]:
            client.call("generate", **ASKED, lora=lora, precision=precision)
            done = client.wait_for("generation_complete", "generation_error")
            made.add(done["model_version"])
            pids.add(server.runtime.worker.pid)
        assert made == {"lofi-rain-int8 0.0.1", "lofi-rain-int4 0.0.1", "lofi-snow-int8 0.0.1"}
        assert len(pids) == 1
        assert client.call("status")["device"] == "cpu"
        with pytest.raises(RpcFailure, match="no model 'lofi-sno' is installed") as caught:
            client.call("generate", **ASKED, lora="lofi-sno")
        assert caught.value.error["data"] == {
            "error_code": "MODEL_NOT_FOUND",
            "details": "did you mean 'lofi-snow'?",
        }


UNLOADABLE = """
from lofi_runtime.errors import BackendError
from lofi_runtime.worker_main import main
def make(choice, progress):
    raise BackendError("a library is missing")
raise SystemExit(main({"procedural": make}))
"""


def test_a_backend_without_variants_fails_once(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(UNLOADABLE)
    command = (sys.executable, str(script))
    with running_server(tmp_path, worker_command=command) as server, server.connect() as client:
        client.call("generate", prompt="rain", duration_sec=5, backend="procedural")
        assert client.wait_for("generation_error")["code"] == "MODEL_LOAD_FAILED"


KILLED_ONCE = """
import os, pathlib, signal, time
from lofi_runtime.backends import FACTORIES
from lofi_runtime.errors import BackendError
from lofi_runtime.worker_main import main
asked = pathlib.Path(__file__).with_name("asked")
def make(choice, progress):
    asked.open("a").write(choice.precision + "\\n")
    if len(asked.read_text().split()) == 1:
        DO
    return FACTORIES["ace_step"](choice, progress)
raise SystemExit(main({"ace_step": make}))
"""


def failing_first(folder: Path, act: str) -> tuple[str, ...]:
    """Make a worker that does `act` in place of the first load, and notes every load."""
    script = folder / "worker.py"
    script.write_text(KILLED_ONCE.replace("DO", act))
    return (sys.executable, str(script))


def loads(folder: Path) -> list[str]:
    return (folder / "asked").read_text().split()


def test_an_only_variant_that_was_killed_while_it_loaded_is_tried_again(tmp_path: Path) -> None:
    install(tmp_path / "models", "lofi-tiny", "int8")
    command = failing_first(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    with running_server(tmp_path, worker_command=command) as server, server.connect() as client:
        client.call("generate", **ASKED)
        failed = client.wait_for("generation_complete", "generation_error")
        assert failed["code"] == "MODEL_LOAD_FAILED"
        client.call("generate", **ASKED)
        done = client.wait_for("generation_complete", "generation_error")
        assert (done["event"], done["warnings"]) == ("generation_complete", [])


def test_a_track_cancelled_while_its_variant_fails_is_not_made_by_another(tmp_path: Path) -> None:
    for variant in ("int8-fast", "int8"):
        install(tmp_path / "models", "lofi-tiny", variant)
    command = failing_first(tmp_path, "time.sleep(1.0); raise BackendError('broken')")
    with running_server(tmp_path, worker_command=command) as server, server.connect() as client:
        told = client.call("generate", **ASKED)
        client.wait_for("generation_start")
        while not (tmp_path / "asked").exists():
            time.sleep(0.02)
        assert client.call("cancel", track_id=told["track_id"])["cancelled"]
        end = client.wait_for("generation_complete", "generation_error", "generation_cancelled")
        assert end["event"] == "generation_cancelled"
        assert loads(tmp_path) == ["int8-fast"]


def test_what_waits_does_not_load_again_what_just_failed(tmp_path: Path) -> None:
    for variant in ("int8-fast", "int8"):
        install(tmp_path / "models", "lofi-tiny", variant)
    command = failing_first(tmp_path, "time.sleep(1.0); raise BackendError('broken')")
    with running_server(tmp_path, worker_command=command) as server, server.connect() as client:
        for seed in (1, 2):
            client.call("generate", **{**ASKED, "seed": seed})
        for _ in range(2):
            assert client.wait_for("generation_complete")["warnings"][-1] == "int8 is used instead"
        assert loads(tmp_path) == ["int8-fast", "int8"]
        # The same request is answered from the store, by the id of the sound.
        assert client.call("generate", **ASKED)["status"] == "complete"


def test_who_named_the_precision_does_not_join_a_track_of_another(tmp_path: Path) -> None:
    for variant in ("int8-fast", "int8"):
        install(tmp_path / "models", "lofi-tiny", variant)
    command = failing_first(tmp_path, "time.sleep(1.0); raise BackendError('broken')")
    with running_server(tmp_path, worker_command=command) as server, server.connect() as client:
        client.call("generate", **ASKED)
        while not (tmp_path / "asked").exists():
            time.sleep(0.02)
        with server.connect() as other:
            other.call("generate", **ASKED, precision="int8-fast")
            failed = other.wait_for("generation_complete", "generation_error")
            assert failed["code"] == "MODEL_LOAD_FAILED"


def test_a_bare_adapter_is_told_from_a_bundle(tmp_path: Path) -> None:
    install(tmp_path, "lofi-tiny", "int8")
    (tmp_path / "lofi-rain").mkdir()
    (tmp_path / "lofi-rain" / "pytorch_lora_weights.safetensors").write_bytes(b"x")
    with pytest.raises(RpcError, match=r"a bare adapter .* merged into") as caught:
        Library(tmp_path).pick("ace_step", lora="lofi-rain")
    assert caught.value.name == "MODEL_LOAD_FAILED"
    assert "lofi-recipe run" in caught.value.hint
    with pytest.raises(RpcError, match="a bare adapter"):
        Library(tmp_path, bundle=tmp_path / "lofi-rain").pick("ace_step")


def test_a_preferred_model_and_precision_come_first(tmp_path: Path) -> None:
    for model, variant in [("lofi-a", "int8"), ("lofi-b", "int8"), ("lofi-b", "fp16")]:
        install(tmp_path, model, variant)
    library = Library(tmp_path, preferences=Preferences(lora="lofi-b", precision="fp16"))
    assert library.pick().model_version == "lofi-b-fp16 0.0.1"
    assert library.pick(lora="lofi-a").notes[0] == "precision fp16 is not installed"
