"""`lofi-runtime` as a user runs it: real processes, real sockets, real signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.support.rpc_client import RpcClient
from tests.support.tiny_bundle import make_tiny_bundle

COMMAND = (sys.executable, "-m", "lofi_runtime.cli")


@pytest.fixture
def home() -> Iterator[dict[str, str]]:
    """An environment whose every folder is new, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="lofi") as name:
        folders = {
            f"XDG_{kind}": f"{name}/{kind.lower()}"
            for kind in ("RUNTIME_DIR", "CACHE_HOME", "DATA_HOME", "STATE_HOME")
        }
        for folder in folders.values():
            Path(folder).mkdir(mode=0o700)
        yield {**os.environ, **folders, "HOME": name, "NO_COLOR": "1", "COLUMNS": "100"}


def run(home: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=home, capture_output=True, text=True, timeout=60
    )


@contextlib.contextmanager
def serving(home: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A server that has said it is ready."""
    command = [*COMMAND, "serve", *arguments]
    with subprocess.Popen(command, env=home, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            first = server.stderr.readline()
            assert first.startswith("lofi-runtime 0"), first
            assert " ready on " in first
            yield server
        finally:
            if server.poll() is None:
                server.terminate()
            server.wait(5)


def socket_of(home: dict[str, str]) -> Path:
    return Path(home["XDG_RUNTIME_DIR"]) / "lofi" / "runtime.sock"


@pytest.mark.parametrize("verb", ["serve", "generate", "doctor"])
def test_the_help_of_every_verb_ends_with_a_real_example(home: dict[str, str], verb: str) -> None:
    done = run(home, verb, "--help")
    assert done.returncode == 0
    assert run(home, verb, "-h").stdout == done.stdout
    assert " ".join(done.stdout.rpartition("Example: ")[2].split()).startswith(
        f"lofi-runtime {verb}"
    )


def test_the_help_tells_the_limits_of_the_schema(home: dict[str, str]) -> None:
    text = " ".join(run(home, "generate", "--help").stdout.split())
    assert "Seconds. [1 to 600; default 30]" in text
    assert "[euler, heun, pingpong; default euler]" in text


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'scipy', 'onnxruntime', 'soundfile', 'jsonschema', 'asyncio'}"
    script = f"import lofi_runtime.cli, sys; sys.exit(str({heavy} & set(sys.modules)) )"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"


def test_a_track_is_generated_without_a_server_and_its_path_printed(
    home: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "rain.wav"
    words = ("rainy night coding", "--duration-sec", "5", "--seed", "4", "--out", out)
    done = run(home, "generate", *words, "--backend", "procedural")
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert " % " in done.stderr
    samples, rate = soundfile.read(out)
    assert (samples.shape, rate) == ((240_000, 2), 48_000)
    sidecar = json.loads((tmp_path / "rain.wav.json").read_text())
    assert sidecar["generate"]["seed"] == 4
    stored = run(home, "generate", *words[:-2], "--backend", "procedural")
    assert stored.stderr == ""
    assert Path(stored.stdout.strip()).name == f"{sidecar['track_id']}.wav"
    assert Path(stored.stdout.strip()).read_bytes() == out.read_bytes()


def test_the_name_of_the_copy_chooses_its_format_and_the_store_keeps_the_first(
    home: dict[str, str], tmp_path: Path
) -> None:
    asked = ("rain", "--duration-sec", "5", "--seed", "4", "--backend", "procedural")
    first = run(home, "generate", *asked, "--out", tmp_path / "rain.flac", "--bits", "24")
    assert (first.returncode, soundfile.info(tmp_path / "rain.flac").subtype) == (0, "PCM_24")
    again = run(home, "generate", *asked, "--out", tmp_path / "rain.mp3")
    said = "lofi-runtime: the store has this track as flac of 24 bits: this is made of it"
    assert again.stderr.splitlines() == [said]
    with soundfile.SoundFile(tmp_path / "rain.mp3") as sound:
        assert (sound.format, sound.frames) == ("MP3", 240_000)
        assert sound.comment.startswith("AI-generated music; model: procedural ")
    sidecar = json.loads((tmp_path / "rain.mp3.json").read_text())
    assert sidecar["audio_format"] == "mp3"
    assert sidecar["size_bytes"] == (tmp_path / "rain.mp3").stat().st_size
    stored = run(home, "generate", *asked)
    assert Path(stored.stdout.strip()).name == f"{sidecar['track_id']}.flac"


def test_a_bundle_is_heard_by_its_folder(home: dict[str, str], tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "lofi-tiny-fp32")
    done = run(
        home, "generate", "rain", "--duration-sec", "5", "--bundle", bundle, "--threads", "1",
        "--inference-steps", "3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sidecar = json.loads(Path(done.stdout.strip()).with_suffix(".json").read_text())
    assert sidecar["spec"]["backend"] == "ace_step"
    assert sidecar["spec"]["model_version"] == "lofi-tiny-fp32 0.0.1"
    assert sidecar["spec"]["precision"] == "fp32"


def test_a_bundle_with_a_changed_file_is_not_played(home: dict[str, str], tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "lofi-tiny-fp32")
    weights = bundle / "vocoder.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    done = run(home, "generate", "rain", "--duration-sec", "5", "--bundle", bundle)
    assert done.returncode == 1
    assert "vocoder.onnx: sha256" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--duration-sec", "900"), "duration_sec: 900 is outside 1 to 600"),
        (("--backend", "musicgen"), "backend: 'musicgen' is not one of procedural, ace_step"),
        (("--backend", "ace_step"), "backend 'ace_step': no bundle is installed in "),
        (("--out", "x.ogg"), "--out x.ogg: the name must end in one of .wav, .flac, .mp3"),
        (("--out", "x.mp3", "--bits", "24"), "audio bits: 24 is not what mp3 has: none at all"),
        (("--format", "ogg"), "audio format 'ogg' is not one of wav, flac, mp3"),
        (("--out", "/no/such/folder/x.wav"), "there is no folder /no/such/folder"),
        # Procfs takes a folder's name and no file, whoever asks.
        (("--out", "/proc/self/fd/x.wav"), "the folder /proc/self/fd is not writable"),
    ],
)
def test_an_expected_error_is_one_line_and_exit_1(
    home: dict[str, str], arguments: tuple[str, ...], message: str
) -> None:
    done = run(home, "generate", "rain", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("lofi-runtime: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_wrong_usage_is_exit_2(home: dict[str, str]) -> None:
    done = run(home, "generate")
    assert done.returncode == 2
    assert "prompt" in done.stderr.lower()


def test_a_bundle_published_anew_is_heard_anew(home: dict[str, str], tmp_path: Path) -> None:
    heard = []
    for seed in (7, 8):
        bundle = make_tiny_bundle(tmp_path / "lofi-tiny-fp32", seed=seed)
        words = ("--duration-sec", "5", "--bundle", bundle, "--seed", "1", "--inference-steps", "2")
        done = run(home, "generate", "rain", *words, "--threads", "1")
        assert done.returncode == 0, done.stderr
        heard.append(Path(done.stdout.strip()).read_bytes())
    assert heard[0] != heard[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_busy_server_cleanly(home: dict[str, str], number: signal.Signals) -> None:
    with serving(home) as server, RpcClient(socket_of(home)) as client:
        client.call("generate", prompt="rain", duration_sec=600)
        client.wait_for("generation_progress")
        server.send_signal(number)
        assert client.wait_for("generation_cancelled")["event"] == "generation_cancelled"
        assert server.wait(5) == 0
        assert not socket_of(home).exists()
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()


def test_the_server_makes_music_at_the_default_socket(home: dict[str, str]) -> None:
    with serving(home), RpcClient(socket_of(home)) as client:
        client.call("generate", prompt="rainy night", duration_sec=5)
        done = client.wait_for("generation_complete", "generation_error")
        assert done["event"] == "generation_complete", done
        assert done["path"].startswith(f"{home['XDG_CACHE_HOME']}/lofi/tracks/")
        assert soundfile.info(done["path"]).frames == 240_000


def test_a_server_with_a_bundle_plays_it_by_default(home: dict[str, str]) -> None:
    make_tiny_bundle(Path(home["XDG_DATA_HOME"]) / "lofi" / "models" / "lofi-tiny-fp32")
    with serving(home, "--threads", "1"), RpcClient(socket_of(home)) as client:
        told = client.call("get_backends")
        assert told["default_backend"] == "ace_step"
        assert told["backends"][1]["precisions"] == ["fp32"]
        client.call("generate", prompt="rain", duration_sec=5, inference_steps=3, style="CORE-01")
        done = client.wait_for("generation_complete", "generation_error")
        assert done["event"] == "generation_complete", done
        assert (done["backend"], done["prompt"]) == ("ace_step", "rain")
        assert {"verify", "load", "encode", "denoise", "decode"} <= {
            params["stage"] for name, params in client.notifications() if "progress" in name
        }


def test_a_second_server_is_refused_and_a_killed_ones_socket_is_replaced(
    home: dict[str, str],
) -> None:
    with serving(home) as server:
        second = run(home, "serve")
        assert second.returncode == 1
        assert second.stderr.startswith("lofi-runtime: a runtime is already running on ")
        assert len(second.stderr.splitlines()) == 1
        server.kill()
        server.wait()
    assert socket_of(home).exists()
    with serving(home), RpcClient(socket_of(home)) as client:
        assert client.call("ping")["status"] == "ok"


def test_an_idle_server_ends_with_exit_0(home: dict[str, str]) -> None:
    with serving(home, "--idle-exit", "0.3") as server:
        assert server.wait(5) == 0
    assert not socket_of(home).exists()


def test_doctor_says_line_by_line_what_works(home: dict[str, str]) -> None:
    with serving(home):
        done = run(home, "doctor")
    lines = dict(line[5:].split(": ", 1) for line in done.stdout.splitlines())
    states = {line[5:].split(": ", 1)[0]: line[:3] for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert states["model"] == "not"
    assert "put a bundle's folder there" in lines["model"]
    assert {state for name, state in states.items() if name != "model"} == {"ok "}
    assert "CPUExecutionProvider" in lines["onnxruntime"]
    assert lines["server"].startswith("version 0")


def test_doctor_without_a_server_says_how_to_start_one_and_is_still_content(
    home: dict[str, str],
) -> None:
    done = run(home, "doctor")
    assert done.returncode == 0
    assert "not  server: no server on" in done.stdout
    assert done.stdout.rstrip().endswith("start one: lofi-runtime serve")


def test_doctor_fails_where_no_track_can_be_kept(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(home, "doctor", "--tracks", tmp_path / "file" / "tracks")
    assert done.returncode == 1
    assert "not  track store: " in done.stdout


def test_version_is_printed(home: dict[str, str]) -> None:
    assert run(home, "--version").stdout.startswith("lofi-runtime 0")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--backend", "musicgen", "not one of procedural, ace_step"),
        ("--bundle", "/nowhere/at/all", "there is no such folder"),
        ("--device", "tpu", "not one of auto, cpu, cuda, coreml, directml"),
        ("--source", "hf:alone", "does not name a repository"),
    ],
)
def test_a_server_that_could_never_serve_is_refused_at_its_start(
    home: dict[str, str], option: str, value: str, said: str
) -> None:
    done = run(home, "serve", option, value)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
