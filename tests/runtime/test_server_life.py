"""A server's beginning, end and traces: real processes that race, end, are killed, and log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from lofi_runtime import log_file
from lofi_runtime import server as server_module
from lofi_runtime.descriptors import RESERVED, raise_limit
from tests.support.rpc_client import RpcClient, RpcFailure
from tests.support.rpc_server import running_server
from tests.support.runtime_process import COMMAND, new_home, run, run_folder, serving

pytestmark = pytest.mark.timeout(60)
SECRET, LYRICS = "my secret rainy sorrow", "la la, nobody knows"


@pytest.fixture
def home() -> Iterator[dict[str, str]]:
    with new_home() as made:
        yield made


def traces(home: dict[str, str]) -> list[str]:
    return sorted(path.name for path in run_folder(home).iterdir())


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("which processes it has is read from /proc, which only Linux has")
    return [int(child) for child in path.read_text().split()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_of_six_servers_started_at_once_one_lives_and_all_clients_reach_it(
    home: dict[str, str],
) -> None:
    started = [
        subprocess.Popen([*COMMAND, "serve"], env=home, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    try:
        with RpcClient(run_folder(home) / "runtime.sock", timeout_sec=20) as client:
            pid = client.call("ping")["pid"]
            losers = [one for one in started if one.pid != pid]
            assert [one.wait(20) for one in losers] == [1] * 5
            for one in losers:
                (line,) = one.stderr.read().splitlines()
                assert line.startswith("lofi-runtime: a runtime is already running on ")
            assert client.call("ping")["pid"] == pid
        for _ in range(3):
            with RpcClient(run_folder(home) / "runtime.sock") as client:
                assert client.call("ping")["pid"] == pid
        record = json.loads((run_folder(home) / "runtime.sock.json").read_text())
        assert record["pid"] == pid
    finally:
        for one in started:
            one.terminate()
            one.wait(10)
            one.stderr.close()


def test_sigterm_leaves_nothing_but_the_lock(home: dict[str, str]) -> None:
    with serving(home) as server, RpcClient(run_folder(home) / "runtime.sock") as client:
        client.call("generate", prompt="rain", duration_sec=600)
        client.wait_for("generation_progress")
        workers = children_of(server.pid)
        assert workers
        assert traces(home) == ["runtime.sock", "runtime.sock.json", "runtime.sock.lock"]
        pid_file = run_folder(home) / "runtime.sock.json"
        assert stat.S_IMODE(pid_file.stat().st_mode) == 0o600
        record = json.loads(pid_file.read_text())
        assert (record["pid"], record["address"]) == (server.pid, str(pid_file.with_suffix("")))
        server.terminate()
        client.wait_for("generation_cancelled")
        assert server.wait(5) == 0
        assert traces(home) == ["runtime.sock.lock"]
        assert not any(map(runs, workers))


def test_what_a_killed_server_left_hinders_nobody(home: dict[str, str]) -> None:
    with serving(home, "--tcp") as server:
        server.kill()
        server.wait()
    assert traces(home) == ["runtime.sock.json", "runtime.sock.lock", "runtime.tcp.json"]
    with serving(home) as server:
        assert traces(home) == ["runtime.sock", "runtime.sock.json", "runtime.sock.lock"]
        assert f"(process {server.pid})" in run(home, "serve").stderr
        server.kill()
        server.wait()
    with serving(home, "--tcp", "--port", "0"):
        assert "runtime.sock" not in traces(home)
        assert run(home, "stop").returncode == 0


def test_stop_ends_the_server_and_waits_for_it(home: dict[str, str]) -> None:
    with serving(home) as server:
        done = run(home, "stop")
        assert (done.returncode, done.stdout) == (0, f"stopped process {server.pid}\n")
        assert server.wait(5) == 0
    refused = run(home, "stop")
    assert refused.returncode == 1
    assert refused.stderr.startswith("lofi-runtime: no server on ")


def test_stdio_serves_its_client_alone_and_ends_with_it(home: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "serve", "--stdio"],
        env=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        asked = [
            [0, 1, "authenticate", []],
            [0, 2, "generate", [{"prompt": SECRET, "duration_sec": 600}]],
        ]
        server.stdin.write(b"".join(map(msgpack.packb, asked)))
        server.stdin.flush()
        frames = msgpack.Unpacker()
        seen: list = []
        while not any(frame[1] == "generation_progress" for frame in seen):
            frames.feed(os.read(server.stdout.fileno(), 1 << 16))
            seen += frames
        assert seen[0] == [1, 1, None, {"status": "trusted"}]
        assert (seen[1][1], seen[1][3]["status"]) == (2, "generating")
        workers = children_of(server.pid)
        server.stdin.close()
        frames.feed(server.stdout.read())
        assert all(isinstance(frame, list) for frame in [*seen, *frames])
        assert server.wait(5) == 0
        assert not any(map(runs, workers))
        (line,) = server.stderr.read().decode().splitlines()
        assert line.endswith(" ready on stdin and stdout")
    assert not run_folder(home).exists()
    assert not list(Path(home["XDG_CACHE_HOME"]).rglob("*.wav"))


def test_two_transports_at_once_are_refused(home: dict[str, str]) -> None:
    done = run(home, "serve", "--stdio", "--tcp")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "--stdio and --tcp exclude each other" in done.stderr


def serve_and_fail(folder: Path, **settings: object) -> str:
    """Run a server whose worker prints a prompt and fails with it; returns its log."""
    log = folder / "logs" / "runtime.log"
    script = (
        "import sys; from pathlib import Path; from lofi_runtime.server import serve\n"
        "from lofi_runtime.settings import Settings\n"
        "from tests.support.leaky_worker import LEAKY_WORKER\n"
        "run, tracks, models, log = map(Path, sys.argv[1:])\n"
        "settings = Settings(socket=run / 's', tracks=tracks, models=models, log=log,"
        f" worker_command=LEAKY_WORKER, **{settings})\n"
        "raise SystemExit(serve(settings))"
    )
    places = [str(folder / name) for name in ("run", "tracks", "models")]
    command = [COMMAND[0], "-c", script, *places, str(log)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        with RpcClient(folder / "run" / "s") as client:
            client.call("expand_prompt", prompt=SECRET)
            client.call("generate", prompt=SECRET, lyrics=LYRICS, duration_sec=5)
            assert client.wait_for("generation_error")["code"] == "MODEL_INFERENCE_FAILED"
        server.terminate()
        assert server.wait(10) == 0
        (line,) = server.stderr.read().splitlines()
        assert f" ready on {folder}" in line
    return log.read_text()


def test_the_log_tells_what_happened_without_the_prompt(
    tmp_path: Path,
) -> None:
    text = serve_and_fail(tmp_path)
    assert stat.S_IMODE((tmp_path / "logs" / "runtime.log").stat().st_mode) == 0o600
    for told in ("ready on ", "client 1: connected", ": starts (procedural, 5 s, seed ",
                 "MODEL_INFERENCE_FAILED: ValueError: cannot make ", "client 1: left",
                 "stopped after "):  # fmt: skip
        assert told in text, told
    # The worker's stderr is here too: its warning, and the traceback of its bug.
    assert "warning about <prompt>..." in text
    assert "Traceback (most recent call last)" in text
    assert "ValueError: cannot make '<prompt>' with '<prompt>'" in text
    for word in ("secret", "rainy", "sorrow", "la la", "nobody"):
        assert word not in text


def test_prompts_are_logged_when_asked_for(tmp_path: Path) -> None:
    text = serve_and_fail(tmp_path, log_prompts=True)
    assert ": starts (procedural, 5 s, seed " in text
    assert f"): {SECRET!r}" in text


def test_a_log_that_cannot_be_written_is_one_clear_error(
    home: dict[str, str], tmp_path: Path
) -> None:
    done = run(home, "serve", "--log", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"--log {tmp_path}: not writable" in done.stderr


def test_a_second_server_leaves_the_firsts_log_alone(home: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "runtime.log"
    with serving(home, "--log", log):
        before = log.read_text()
        second = run(home, "serve", "--log", log)
        assert "already running" in second.stderr
        assert log.read_text() == before


def test_a_client_too_many_is_told_so_in_answer_to_its_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_CLIENTS", 2)
    monkeypatch.setattr(server_module, "MAX_REFUSED", 1)
    with running_server(tmp_path) as server, server.connect() as one, server.connect() as two:
        assert [one.call("ping")["status"], two.call("ping")["status"]] == ["ok", "ok"]
        with server.connect() as third:
            # So many are told; the next sees only its connection end.
            time.sleep(0.1)
            with server.connect() as fourth:
                assert fourth.read_frame() is None
            with pytest.raises(RpcFailure, match="2 clients are connected") as caught:
                third.call("ping")
            assert caught.value.error["data"]["error_code"] == "TOO_MANY_CLIENTS"
            assert third.read_frame() is None
        two.close()
        deadline = time.monotonic() + 2
        while one.call("status")["clients"] > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        with server.connect() as third:
            assert third.call("ping")["status"] == "ok"


def test_three_hundred_clients_are_served_at_once(tmp_path: Path) -> None:
    async def ask(socket: Path, gate: asyncio.Event, together: list) -> dict:
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(msgpack.packb([0, 1, "status", [{}]]))
        answer = msgpack.unpackb(await reader.read(1 << 16))
        together.append(answer[3]["clients"])
        if len(together) == 300:
            gate.set()
        await gate.wait()
        writer.close()
        await writer.wait_closed()
        return answer[3]

    async def crowd(socket: Path) -> list:
        gate, together = asyncio.Event(), []
        await asyncio.gather(*(ask(socket, gate, together) for _ in range(300)))
        return together

    with running_server(tmp_path) as server:
        assert max(asyncio.run(crowd(server.settings.socket))) == 300


def test_fewer_open_files_mean_fewer_clients() -> None:
    resource = pytest.importorskip("resource", reason="limits of this kind are POSIX's")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        "import resource, sys; from lofi_runtime.descriptors import raise_limit\n"
        "soft, hard = map(int, sys.argv[1:])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n"
        "print(raise_limit(512), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    def told(soft: int, hard: int) -> str:
        command = [COMMAND[0], "-c", script, str(soft), str(hard)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert told(256, 300) == f"{300 - RESERVED} 300"
    assert told(256, 1024) == f"512 {512 + RESERVED}"
    assert told(1024, 1024) == "512 1024"
    assert told(64, 64) == "8 64"
    assert raise_limit(1) == 1
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_doctor_sees_a_server_on_tcp_too(home: dict[str, str]) -> None:
    with serving(home, "--tcp") as server:
        assert server.ready.startswith("lofi-runtime 0")
        assert " ready on 127.0.0.1:" in server.ready
        told = run(home, "doctor").stdout
    assert "ok   server: version 0" in told
    assert f"(process {server.pid})" in told


def test_a_log_that_grows_is_rotated_and_every_part_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (log_file.LOG_BYTES, log_file.LOG_FILES) == (1_000_000, 3)
    monkeypatch.setattr(log_file, "LOG_BYTES", 1000)
    handler = log_file.open_log(tmp_path / "runtime.log")
    for number in range(200):
        handler.handle(logging.makeLogRecord({"msg": f"line {number} " + "x" * 40}))
    handler.close()
    parts = sorted(tmp_path.iterdir())
    assert [part.name for part in parts] == ["runtime.log", *(f"runtime.log.{n}" for n in "123")]
    assert all(part.stat().st_size <= 1000 for part in parts)
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o600}
    assert "line 199 " in parts[0].read_text()


def test_the_help_of_stop_ends_with_an_example(home: dict[str, str]) -> None:
    assert run(home, "stop", "--help").stdout.rstrip().endswith("Example: lofi-runtime stop")
