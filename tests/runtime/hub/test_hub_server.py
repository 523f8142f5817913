"""`download_backend` over a real socket, with a real child process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lofi_runtime.bundle import open_bundle
from lofi_runtime.hub.downloads import DownloadRequest, Downloads
from lofi_runtime.rpc.schema import find_problems
from tests.support.hub_server import Hub, running_hub
from tests.support.published import make_bundle, publish
from tests.support.rpc_client import RpcClient, RpcFailure
from tests.support.rpc_server import RunningServer, running_server

NAME = "lofi-tiny-int8"
END = ("download_complete", "download_error", "download_cancelled")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_bundle(folder / NAME)
    return publish(folder)


@pytest.fixture
def hub(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub(someone__models=published) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield running


@pytest.fixture
def server(tmp_path: Path, published: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path, source=str(published)) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[RpcClient]:
    with server.connect() as connected:
        yield connected


def ace_step(client: RpcClient) -> dict[str, object]:
    answer = client.call("get_backends")
    assert find_problems("methods", "get_backends", "result", answer) == []
    return next(info for info in answer["backends"] if info["type"] == "ace_step")


def test_a_download_is_told_as_it_goes_and_its_bundle_is_ready_in_the_end(
    client: RpcClient, server: RunningServer
) -> None:
    assert client.call("capabilities")["features"]["download"] is True
    assert client.call("download_backend", backend="ace_step")["status"] == "started"
    assert ace_step(client)["status"] == "downloading"
    again = client.call("download_backend", backend="ace_step")
    assert again["status"] == "already_downloading"
    end = client.wait_for(*END)
    assert end == {
        "event": "download_complete",
        "backend": "ace_step",
        "bundle": NAME,
        "lora": "lofi-tiny",
        "precision": "int8",
        "version": "1.0.0",
        "license": "apache-2.0",
        "path": str(server.settings.models / NAME),
        "size_bytes": end["size_bytes"],
        "was_installed": False,
    }
    told = [params for event, params in client.notifications() if event == "download_progress"]
    percents = [params["overall_percent"] for params in told]
    assert percents == sorted(percents)
    assert percents[-1] == told[-1]["component_percent"] == 100
    assert told[-1]["bytes_downloaded"] == told[-1]["bytes_total"] == end["size_bytes"]
    for event, params in client.notifications():
        assert find_problems("notifications", event, "params", params) == [], event
    info = ace_step(client)
    assert (info["status"], info["precisions"]) == ("ready", ["int8"])
    assert "download" not in info
    assert client.call("download_backend", backend="ace_step")["status"] == "already_installed"
    client.call("download_backend", backend="ace_step", update=True)
    assert client.wait_for(*END)["was_installed"] is True


def test_the_server_answers_while_it_downloads_and_a_cancel_keeps_what_came(
    client: RpcClient, server: RunningServer, hub: Hub
) -> None:
    hub.bytes_per_sec = 100_000
    client.call("download_backend", backend="ace_step", source="hf:someone/models")
    client.wait_for("download_progress")
    began = time.monotonic()
    for _ in range(20):
        client.call("ping")
    assert time.monotonic() - began < 2.0
    info = ace_step(client)
    assert info["status"] == info["download"]["status"] == "downloading"
    assert 0 <= info["download"]["overall_percent"] < 100
    with server.connect() as other:
        assert other.call("download_cancel") == {"cancelled": True}
        assert other.call("download_cancel") == {"cancelled": False}
        assert other.wait_for(*END)["event"] == "download_cancelled"
    assert client.wait_for(*END)["event"] == "download_cancelled"
    assert ace_step(client)["status"] == "not_installed"
    assert any((server.settings.models / ".pull" / NAME).iterdir())
    hub.bytes_per_sec = None
    client.call("download_backend", backend="ace_step", source="hf:someone/models")
    assert client.wait_for(*END)["event"] == "download_complete"
    assert open_bundle(server.settings.models / NAME).verified


def test_a_failed_download_is_told_and_is_the_backends_state_until_the_next(
    client: RpcClient, hub: Hub
) -> None:
    client.call("download_backend", backend="ace_step", source="hf:no/body")
    end = client.wait_for(*END)
    assert (end["event"], end["code"]) == ("download_error", "MODEL_DOWNLOAD_FAILED")
    assert end["message"].startswith("hf:no/body: there is no such repository")
    info = ace_step(client)
    assert (info["status"], info["message"]) == ("error", end["message"])
    client.call("download_backend", backend="ace_step")
    assert client.wait_for(*END)["event"] == "download_complete"
    assert ace_step(client)["status"] == "ready"


@pytest.mark.parametrize(
    ("params", "code", "said"),
    [
        ({"source": "hf:a"}, -32602, "source: 'hf:a' does not name a repository"),
        ({"source": "./here"}, -32602, "is neither hf:owner/name nor an absolute path"),
        ({"backend": "musicgen"}, -32007, "backend: 'musicgen' is not one of"),
        ({"precision": "../x"}, -32602, "precision: "),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(
    client: RpcClient, params: dict[str, str], code: int, said: str
) -> None:
    with pytest.raises(RpcFailure, match=said) as caught:
        client.call("download_backend", **({"backend": "ace_step"} | params))
    assert caught.value.error["code"] == code


def test_the_procedural_backend_is_always_installed(client: RpcClient) -> None:
    answer = client.call("download_backend", backend="procedural")
    assert answer == {"backend": "procedural", "status": "already_installed"}


def test_a_backend_that_can_generate_stays_ready_whatever_its_download_does(
    tmp_path: Path,
) -> None:
    async def states() -> list[tuple[str, str, str]]:
        downloads = Downloads(tmp_path, lambda _event, _params: None, ["/no/such/program"])
        found = []
        for status in ("ready", "not_installed", "error"):
            downloads.start(DownloadRequest("ace_step", "hf:a/b", "", "auto"))
            infos = [{"type": "ace_step", "status": status}, {"type": "procedural"}]
            during, other = downloads.describe(infos)
            assert other == infos[1]
            while downloads.is_running:
                await asyncio.sleep(0.01)
            after = downloads.describe(infos)[0]
            assert "/no/such/program" in after["download"]["message"]
            found.append((status, during["status"], after["status"]))
        return found

    assert asyncio.run(states()) == [
        ("ready", "ready", "ready"),
        ("not_installed", "downloading", "error"),
        ("error", "downloading", "error"),
    ]


def test_the_server_imports_nothing_of_the_hub() -> None:
    look = "import sys, lofi_runtime.server; print([m for m in sys.modules if 'hugging' in m])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_server_of_one_bundle_downloads_no_other(tmp_path: Path, published: Path) -> None:
    with (
        running_server(tmp_path, bundle=published / NAME, source=str(published)) as server,
        server.connect() as client,
    ):
        assert client.call("download_backend", backend="ace_step")["status"] == "already_installed"
        with pytest.raises(RpcFailure, match="alone and would not use another bundle") as caught:
            client.call("download_backend", backend="ace_step", precision="fp16")
        assert caught.value.error["data"]["error_code"] == "MODEL_DOWNLOAD_FAILED"


def test_a_server_killed_while_it_downloads_takes_its_child_along(hub: Hub) -> None:
    hub.bytes_per_sec = 50_000
    with tempfile.TemporaryDirectory(prefix="lofi") as name:
        socket, models = Path(name) / "s" / "runtime.sock", Path(name) / "models"
        command = [sys.executable, "-m", "lofi_runtime.cli", "serve", "--socket", str(socket)]
        command += ["--models", str(models), "--source", "hf:someone/models"]
        command += ["--tracks", f"{name}/tracks"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=dict(os.environ)) as process:
            with RpcClient(socket) as client:
                client.call("download_backend", backend="ace_step")
                client.wait_for("download_progress")
            (child,) = children(process.pid, "lofi_runtime.hub.child")
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 2.0
        while is_alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def children(pid: int, word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            status = (path / "status").read_text()
            line = (path / "cmdline").read_text()
        except OSError:
            continue
        if f"PPid:\t{pid}\n" in status and word in line:
            found.append(int(path.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_todays_lofi_nvim_gets_bytes_per_file_and_its_own_words(
    tmp_path: Path, published: Path
) -> None:
    import json

    from lofi_runtime.daemon import DaemonCodec, Environment, _dispatching
    from lofi_runtime.settings import Settings

    told = {"component": "vocoder.onnx", "component_bytes_downloaded": 5, "bytes_total": 30}
    told |= {"component_bytes_total": 10, "components_completed": 2, "components_total": 8}
    line = DaemonCodec().encode_notification("download_progress", told)
    assert json.loads(line)["params"] == {
        "file_name": "vocoder.onnx",
        "bytes_downloaded": 5,
        "bytes_total": 10,
        "files_completed": 2,
        "files_total": 8,
    }
    dispatch = _dispatching(Environment(Settings(), "ace_step"))
    with pytest.raises(Exception, match="'musicgen' is not part of this runtime") as caught:
        dispatch(None, None, "download_backend", {"backend": "musicgen"})
    assert caught.value.code == -32008
