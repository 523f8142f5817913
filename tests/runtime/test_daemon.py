"""`lofi-daemon --daemon` as today's lofi.nvim starts it: a real process, pipes and model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lofi_runtime.daemon import read_environment
from lofi_runtime.errors import LofiError
from tests.support.tiny_bundle import make_tiny_bundle

pytestmark = pytest.mark.timeout(60)

DAEMON = (sys.executable, "-m", "lofi_runtime.daemon", "--daemon")


class Editor:
    """Does what the plugin's rpc.lua does: numbers its requests, tells answers from the rest."""

    def __init__(self, **variables: str) -> None:
        self.process = subprocess.Popen(
            DAEMON,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **variables},
        )
        self.id = 0
        self.notifications: list[tuple[str, dict]] = []

    def request(self, method: str, params: object) -> dict:
        self.id += 1
        line = {"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            message = self.read()
            if message.get("id") == self.id:
                return message

    def read(self) -> dict:
        message = json.loads(self.process.stdout.readline())
        assert message["jsonrpc"] == "2.0"
        if "method" in message:
            self.notifications.append((message["method"], message["params"]))
        return message

    def wait_for(self, *methods: str) -> dict:
        while True:
            message = self.read()
            if message.get("method") in methods:
                return message["params"]
            assert message.get("method") != "generation_error", message

    def leave(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    bundle = make_tiny_bundle(tmp_path / "ace-step")
    return {
        "LOFI_ACE_STEP_MODEL_PATH": str(bundle),
        "LOFI_CACHE_PATH": str(tmp_path / "tracks"),
        "LOFI_THREADS": "1",
        "LOFI_DEVICE": "auto",
        "LOFI_ACE_STEP_STEPS": "6",
    }


@pytest.fixture
def editor(folders):
    started = Editor(**folders)
    yield started
    if started.process.poll() is None:
        started.leave()


def test_it_generates_as_the_plugin_asks_and_counts_tokens_besides_steps(editor, tmp_path):
    made = editor.request("generate", {"prompt": "rain", "duration_sec": 5, "priority": "normal"})
    told = made["result"]
    assert told["status"] == "generating"
    assert (told["backend"], told["position"]) == ("ace_step", 0)
    done = editor.wait_for("generation_complete")
    assert done["track_id"] == told["track_id"]
    assert done["seed"] == told["seed"] < 2**31
    assert Path(done["path"]).parent == tmp_path / "tracks"
    assert Path(done["path"]).is_file()
    progress = [params for name, params in editor.notifications if name == "generation_progress"]
    assert progress
    for one in progress:
        assert one["tokens_generated"] == one["current_step"]
        assert one["tokens_estimated"] == one["total_steps"]
    assert {one["total_steps"] for one in progress if one["stage"] == "denoise"} == {6}
    again = editor.request("generate", {"prompt": "rain", "duration_sec": 5, "seed": told["seed"]})
    assert again["result"]["status"] == "complete"


def test_the_two_backends_of_the_plugin_are_told(editor):
    found = editor.request("get_backends", [])["result"]
    states = {info["type"]: info for info in found["backends"]}
    assert list(states) == ["musicgen", "ace_step"]
    assert states["musicgen"]["status"] == "not_installed"
    assert states["ace_step"]["status"] == "ready"
    assert states["ace_step"]["max_duration_sec"] > 5
    assert found["default_backend"] == "ace_step"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"prompt": "x", "backend": "musicgen"}, -32008),
        ({"prompt": "x", "backend": "procedural"}, -32007),
        ({"prompt": ""}, -32006),
        ({"prompt": "x", "duration_sec": 241}, -32005),
        ({"prompt": "x", "inference_steps": 0}, -32009),
        ({"prompt": "x", "guidance_scale": 31}, -32010),
        ({"prompt": "x", "scheduler": "rk4"}, -32011),
        ({"prompt": "x", "priority": "urgent"}, -32602),
    ],
)
def test_refusals_have_the_codes_the_plugin_knows(editor, params, code):
    answer = editor.request("generate", params)
    assert answer["error"]["code"] == code
    assert "result" not in answer


def test_a_line_that_is_no_request_is_refused_and_the_next_one_answered(editor):
    editor.process.stdin.write(b"nonsense\n\n")
    editor.process.stdin.flush()
    assert editor.read()["error"]["code"] == -32700
    assert editor.request("ping", [])["result"]["status"] == "ok"


def test_the_end_of_stdin_ends_it_while_a_track_is_made(folders):
    editor = Editor(**folders | {"LOFI_ACE_STEP_STEPS": "200"})
    editor.request("generate", {"prompt": "rain", "duration_sec": 30})
    began = time.monotonic()
    assert editor.leave() == 0
    assert time.monotonic() - began < 5
    assert not list(Path(folders["LOFI_CACHE_PATH"]).glob("*.wav"))


def test_killed_as_the_plugin_cancels_its_worker_is_gone_within_a_second(folders):
    editor = Editor(**folders | {"LOFI_ACE_STEP_STEPS": "200"})
    editor.request("generate", {"prompt": "rain", "duration_sec": 30})
    editor.wait_for("generation_progress")
    children = Path(f"/proc/{editor.process.pid}/task/{editor.process.pid}/children")
    if not children.exists():
        pytest.skip("which processes it has is read from /proc, which only Linux has")
    # The worker, and for a moment what looks for audio devices.
    processes = [int(pid) for pid in children.read_text().split()]
    assert processes
    editor.process.send_signal(signal.SIGKILL)
    editor.process.wait(5)
    for stream in (editor.process.stdin, editor.process.stdout, editor.process.stderr):
        stream.close()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and any(map(_runs, processes)):
        time.sleep(0.02)
    assert not any(map(_runs, processes))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_two_editors_share_a_store(folders):
    one, other = Editor(**folders), Editor(**folders)
    asked = {"prompt": "rain", "duration_sec": 5, "seed": 3}
    track = one.request("generate", asked)["result"]["track_id"]
    one.wait_for("generation_complete")
    found = other.request("generate", asked)["result"]
    assert (found["track_id"], found["status"]) == (track, "complete")
    assert [one.leave(), other.leave()] == [0, 0]


def test_the_variables_become_settings(tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    found = read_environment(
        {
            "LOFI_ACE_STEP_MODEL_PATH": str(bundle),
            "LOFI_CACHE_PATH": str(tmp_path / "tracks"),
            "LOFI_THREADS": "3",
            "LOFI_DEVICE": "CUDA",
            "LOFI_BACKEND": "musicgen",
            "LOFI_ACE_STEP_STEPS": "60",
            "LOFI_ACE_STEP_SCHEDULER": "heun",
            "LOFI_ACE_STEP_GUIDANCE": "7.5",
            "LOFI_MODEL_PATH": "",
        }
    )
    settings = found.settings
    assert settings.device == "auto"
    assert (settings.bundle, settings.tracks) == (bundle, tmp_path / "tracks")
    assert (settings.threads, found.backend) == (3, "musicgen")
    assert found.defaults == {"inference_steps": 60, "scheduler": "heun", "guidance_scale": 7.5}
    assert found.warnings == ("LOFI_DEVICE: cuda cannot be used here, the CPU computes",)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOFI_THREADS", "many", "LOFI_THREADS: 'many' is not a whole number from 1 to 1024"),
        ("LOFI_THREADS", "0", "LOFI_THREADS: '0' is not a whole number"),
        ("LOFI_BACKEND", "suno", "LOFI_BACKEND: 'suno' is not one of musicgen, ace_step"),
        ("LOFI_DEVICE", "tpu", "LOFI_DEVICE: 'tpu' is not one of auto, cpu, cuda"),
        ("LOFI_ACE_STEP_STEPS", "500", "'500' is not a whole number from 1 to 200"),
        ("LOFI_ACE_STEP_GUIDANCE", "nan", "'nan' is not a number from 1 to 30"),
        ("LOFI_ACE_STEP_SCHEDULER", "rk4", "'rk4' is not one of euler, heun, pingpong"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named_with_what_is_allowed(variable, value, said):
    with pytest.raises(LofiError, match=said):
        read_environment({variable: value})


def test_without_a_pipe_it_says_so_in_one_line(tmp_path):
    requests = tmp_path / "requests"
    requests.write_text("{}\n")
    with requests.open() as stdin:
        done = subprocess.run(DAEMON, stdin=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("lofi-daemon: stdin is not a pipe: a client must start this")
    assert len(done.stderr.splitlines()) == 1
