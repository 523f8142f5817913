"""`lofi-runtime pull`: the real client against a server of the Hub's form; the verbs beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lofi_runtime import cli
from lofi_runtime.bundle import open_bundle
from lofi_runtime.hub.installed import list_installed
from lofi_runtime.library import Library
from tests.support.hub_server import Hub, running_hub
from tests.support.published import make_bundle, publish

COMMAND = (sys.executable, "-m", "lofi_runtime.cli")
CLIENT = (sys.executable, "-m", "tests.support.hub_client")
WEIGHTS, VOCODER = "transformer_decoder_weights.bin", "vocoder.onnx"
NAME = "lofi-tiny-int8"

Pull = Callable[..., str]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_bundle(folder / NAME)
    make_bundle(folder / "lofi-tiny-fp16", seed=8)
    return publish(folder)


@pytest.fixture(scope="module")
def one_hub(published: Path) -> Iterator[Hub]:
    with running_hub(someone__models=published) as running:
        yield running


@pytest.fixture
def hub(one_hub: Hub) -> Hub:
    one_hub.behave()
    return one_hub


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture(scope="module")
def client(one_hub: Hub) -> Iterator[subprocess.Popen[str]]:
    """One process that pulls what it is told: the library reads its variables when it begins."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        CLIENT, env=environment(one_hub), stdin=pipe, stdout=pipe, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def pull(client: subprocess.Popen[str], models: Path) -> Pull:
    """Pull in the client process; returns "" or the error."""

    def call(source: str = "hf:someone/models", name: str = "") -> str:
        assert client.stdin is not None
        assert client.stdout is not None
        asked = {"source": source, "name": name, "models": str(models)}
        client.stdin.write(json.dumps(asked) + "\n")
        client.stdin.flush()
        said: str = json.loads(client.stdout.readline())
        assert "\n" not in said
        return said

    return call


def environment(hub: Hub, **changes: str) -> dict[str, str]:
    without = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return {**without, "HF_ENDPOINT": hub.url, "NO_COLOR": "1", "COLUMNS": "100", **changes}


def run(hub: Hub, *arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(hub, **changes),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: its exit code, what it printed and what it said."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lofi-runtime", *map(str, arguments)])
        code = cli.main()
        return code, *capsys.readouterr()

    return call


def test_a_pulled_bundle_generates(hub: Hub, models: Path, tmp_path: Path, pull: Pull) -> None:
    done = run(hub, "pull", "--source", "hf:someone/models", "--models", models)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{models / NAME}\n"
    assert f"{NAME} 1.0.0 is installed: " in done.stderr
    assert "license apache-2.0" in done.stderr
    assert re.search(r"^100 % of .* kB, \S+", done.stderr, re.MULTILINE)
    out = tmp_path / "rain.wav"
    options = ("--duration-sec", "2", "--inference-steps", "2", "--seed", "1")
    made = run(
        hub, "generate", "rain", "--models", models, "--tracks", tmp_path, "--out", out, *options
    )
    assert made.returncode == 0, made.stderr
    assert out.stat().st_size > 2 * 48_000 * 2 * 2
    assert pull() == ""
    assert len(hub.asked_for(f"{NAME}/{WEIGHTS}")) == 1


def test_a_cut_connection_is_resumed_where_it_was_cut(hub: Hub, models: Path, pull: Pull) -> None:
    hub.cuts[f"{NAME}/{VOCODER}"] = [200_000, 100_000]
    hub.cuts["index.json"] = [10]
    assert pull() == ""
    first, *rest = hub.asked_for(f"{NAME}/{VOCODER}")
    assert (first, rest) == ("", ["bytes=200000-", "bytes=300000-"])
    assert open_bundle(models / NAME).verified


def test_a_refusal_while_resuming_keeps_what_had_come(hub: Hub, models: Path, pull: Pull) -> None:
    hub.cuts[f"{NAME}/{VOCODER}"] = [200_000]
    hub.refuses_ranges = True
    assert "access must be granted" in pull()
    hub.refuses_ranges = False
    assert pull() == ""
    assert hub.asked_for(f"{NAME}/{VOCODER}")[-1] == "bytes=200000-"


def test_a_killed_pull_shows_nothing_and_the_next_resumes_it(
    hub: Hub, models: Path, pull: Pull
) -> None:
    hub.bytes_per_sec = 400_000
    command = [*COMMAND, "pull", "hf:someone/models", "--models", str(models)]
    with subprocess.Popen(command, env=environment(hub), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 20
        part: list[Path] = []
        while not part or part[0].stat().st_size < 60_000:
            assert time.monotonic() < deadline
            assert process.poll() is None
            part = list(models.glob(f".pull/{NAME}/.{VOCODER}.*.part"))
            time.sleep(0.01)
        process.kill()
    assert Library(models).installed() == Library(models).damaged() == []
    assert [one.state for one in list_installed(models)] == ["unfinished"]
    came = part[0].stat().st_size
    hub.behave()
    assert pull() == ""
    assert hub.requests == [
        ("index.json", ""),
        (f"{NAME}/manifest.json", ""),
        (f"{NAME}/{VOCODER}", f"bytes={came}-"),
    ]
    assert open_bundle(models / NAME).verified


def test_an_interrupted_pull_ends_with_130_and_keeps_what_came(hub: Hub, models: Path) -> None:
    hub.bytes_per_sec = 400_000
    command = [*COMMAND, "pull", "hf:someone/models", "--models", str(models)]
    with subprocess.Popen(
        command, env=environment(hub), stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(models.glob(f".pull/{NAME}/*.onnx")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
        assert process.stderr is not None
        assert "what came is kept; the same command resumes" in process.stderr.read()
    assert [one.state for one in list_installed(models)] == ["unfinished"]


def test_a_server_without_ranges_sends_the_file_anew(hub: Hub, models: Path, pull: Pull) -> None:
    hub.cuts[f"{NAME}/{VOCODER}"] = [200_000]
    hub.has_ranges = False
    assert pull() == ""
    assert open_bundle(models / NAME).verified


def test_bytes_of_the_right_size_and_the_wrong_hash_are_refused(
    hub: Hub, models: Path, published: Path, pull: Pull
) -> None:
    size_bytes = (published / NAME / VOCODER).stat().st_size
    hub.wrong[f"{NAME}/{VOCODER}"] = bytes(size_bytes)
    assert pull().startswith(f"hf:someone/models: {NAME}/{VOCODER}: sha256 ")
    assert list(models.glob("[!.]*")) == []
    hub.wrong[f"{NAME}/{VOCODER}"] = bytes(size_bytes + 1)
    assert f"more than the {size_bytes} bytes expected" in pull()


def test_every_refusal_of_the_hub_is_one_line_that_says_what_to_do(
    hub: Hub, models: Path, tmp_path: Path, pull: Pull
) -> None:
    hub.repositories["someone/gated"] = hub.repositories["someone/models"]
    hub.gated.add("someone/gated")
    adapter = tmp_path / "adapter" / "pytorch_lora_weights.safetensors"
    adapter.parent.mkdir()
    adapter.write_bytes(b"")
    hub.repositories["someone/adapter"] = adapter.parent
    for source, name, said in (
        ("hf:no/body", "", "hf:no/body: there is no such repository, or it is private - "),
        ("hf:someone/models@v9", "", "hf:someone/models@v9: there is no such revision - "),
        ("hf:someone/gated", "", "hf:someone/gated: access must be granted by its owners - "),
        ("hf:someone/adapter", "", "hf:someone/adapter: a bare adapter"),
        ("hf:someone/models", "lofi-tiny-int9", "no bundle or model 'lofi-tiny-int9' - did you"),
    ):
        assert said in pull(source, name)
    assert list(models.glob("[!.]*")) == []


def test_no_network_and_an_offline_client_are_told_apart(hub: Hub, models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    for changes, said in (
        ({"HF_ENDPOINT": dead}, "hf:someone/models: the Hub cannot be reached ("),
        ({"HF_HUB_OFFLINE": "1"}, "hf:someone/models: the Hub may not be asked"),
    ):
        done = run(hub, "pull", "hf:someone/models", "--models", models, **changes)
        assert done.returncode == 1
        assert done.stderr.startswith(f"lofi-runtime: {said}")
        assert done.stderr.count("\n") == 1


def test_a_connection_that_never_comes_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from lofi_runtime.hub import huggingface

    sink = huggingface._Memory("x", 100)
    repository = huggingface.HubRepository("someone/models")
    repository._known = ("main", frozenset({"index.json"}))
    monkeypatch.setattr(huggingface, "RETRY_WAITS_SEC", (0.0, 0.0))
    tries = []
    monkeypatch.setattr(repository, "_try", lambda *_: tries.append(1) or "status 503")
    with pytest.raises(
        huggingface.DownloadError, match=r"lost \(status 503\) - ask again; what is here"
    ):
        repository._stream("index.json", sink, None)
    assert len(tries) == 3


def test_what_is_offered_and_what_is_installed_are_listed(
    here: Callable[..., tuple[int, str, str]], models: Path, published: Path
) -> None:
    offered = here("ls", "--source", published)[1].splitlines()
    assert offered[0].split() == ["name", "version", "precision", "size", "license"]
    assert [line.split()[0] for line in offered[1:]] == ["lofi-tiny-fp16", NAME]
    (told, *_) = json.loads(here("ls", "--source", published, "--json")[1])
    assert (told["name"], told["model"]) == ("lofi-tiny-fp16", "lofi-tiny")
    assert here("ls", "--models", models)[1:] == (
        "",
        f"no bundle is installed in {models} - lofi-runtime pull\n",
    )
    shutil.copytree(published / NAME, models / NAME)
    installed = here("ls", "--models", models)[1].splitlines()
    assert installed[1].split()[:3] == [NAME, "1.0.0", "int8"]
    assert installed[1].split()[-2:] == ["apache-2.0", "whole"]
    (one,) = json.loads(here("ls", "--models", models, "--json")[1])
    assert one["folder"] == str(models / NAME)


def test_verify_and_rm_do_what_they_say(
    here: Callable[..., tuple[int, str, str]], models: Path, published: Path
) -> None:
    assert here("verify", "--models", models) == (
        1,
        "",
        f"lofi-runtime: no bundle is installed in {models} - lofi-runtime pull\n",
    )
    shutil.copytree(published / NAME, models / NAME)
    code, out, said = here("verify", "--models", models)
    assert (code, out) == (0, f"{NAME} 1.0.0: every file is the manifest's\n")
    assert "100 % of " in said
    (models / NAME / VOCODER).write_bytes(b"bad")
    code, _out, said = here("verify", NAME, "--models", models)
    assert code == 1
    assert f"lofi-runtime: {models / NAME / VOCODER}: 3 bytes found, " in said
    assert here("rm", NAME, "--models", models)[1].startswith(f"removed {NAME}, ")
    code, _out, said = here("rm", NAME, "--models", models)
    assert (code, "there is no bundle" in said) == (1, True)


def test_a_source_stands_in_the_place_of_a_name_but_not_beside_another(
    here: Callable[..., tuple[int, str, str]], models: Path, published: Path
) -> None:
    code, out, _said = here("pull", published / NAME, "--models", models)
    assert (code, out) == (0, f"{models / NAME}\n")
    code, _out, said = here("pull", published, "--source", published, "--models", models)
    assert (code, "both name a source" in said) == (1, True)


@pytest.mark.parametrize("verb", ["pull", "ls", "verify", "rm"])
def test_the_help_of_the_verbs_for_bundles_ends_with_an_example(
    here: Callable[..., tuple[int, str, str]], verb: str
) -> None:
    code, out, _said = here(verb, "--help")
    assert code == 0
    assert f"Example: lofi-runtime {verb}" in " ".join(out.split())
