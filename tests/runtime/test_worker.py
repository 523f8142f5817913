"""The generating process: killed, crashed, cancelled, shouted over - the next track still comes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from lofi_runtime.atomic import replace_folder
from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.library import PROCEDURAL_SOURCE
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.worker import WORKER_COMMAND, Patience, Task, Worker
from lofi_runtime.worker_main import NICENESS
from tests.support.rpc_client import RpcClient
from tests.support.rpc_server import RunningServer, running_server
from tests.support.stand_in_worker import STAND_IN_WORKER
from tests.support.tiny_bundle import make_tiny_bundle, write_manifest


def task(folder: Path, prompt: str) -> Task:
    request = {"prompt": prompt, "duration_sec": 5, "seed": 1}
    return Task("0123456789abcdef", PROCEDURAL_SOURCE, request, folder / "out.wav")


def with_worker(work: Callable[[Worker], Awaitable[None]]) -> None:
    async def main() -> None:
        worker = Worker(STAND_IN_WORKER)
        try:
            await work(worker)
        finally:
            await worker.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pid: int, limit_sec: float) -> float:
    began = time.monotonic()
    while is_running(pid):
        assert time.monotonic() - began < limit_sec, f"process {pid} still runs"
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_track_is_written_with_progress_before_each_step(tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []

    async def work(worker: Worker) -> None:
        done = await worker.generate(task(tmp_path, "calm"), lambda *report: reports.append(report))
        assert done["duration_sec"] == 5.0
        assert done["warnings"] == ["a stand-in"]

    with_worker(work)
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert (samples.shape, rate) == ((240_000, 2), 48_000)
    assert ("denoise", 0, 10) in reports
    assert ("denoise", 9, 10) in reports
    assert reports[-1] == ("write", 0, 1)


def test_the_written_file_says_that_it_is_generated(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        await worker.generate(task(tmp_path, "calm"), lambda *_: None)

    with_worker(work)
    with soundfile.SoundFile(tmp_path / "out.wav") as sound:
        assert "AI-generated" in sound.comment
        assert "stand-in 1" in sound.comment
        assert sound.title == "calm"


def test_prints_from_anywhere_do_not_corrupt_the_frames(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def work(worker: Worker) -> None:
        done = await worker.generate(task(tmp_path, "shout"), lambda *_: None)
        assert done["event"] == "done"

    with_worker(work)
    captured = capfd.readouterr()
    assert captured.out == ""
    for words in ("a print", "to the real stdout", "file descriptor", "child of the child"):
        assert words in captured.err


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("crash", "ended (killed by SIGKILL)"),
        ("fail", "the graph does not run - pull it again"),
        ("bug", "ZeroDivisionError: division by zero"),
        ("nan", "made samples that are not numbers"),
        ("short", "made samples of shape (2, 239999), not (2, 240000)"),
    ],
)
def test_a_failure_is_told_and_the_next_track_comes(
    tmp_path: Path, prompt: str, message: str
) -> None:
    async def work(worker: Worker) -> None:
        with pytest.raises(RpcError) as caught:
            await worker.generate(task(tmp_path, prompt), lambda *_: None)
        assert caught.value.name == "MODEL_INFERENCE_FAILED"
        assert message in str(caught.value)
        assert not (tmp_path / "out.wav").exists()
        await worker.generate(task(tmp_path, "calm"), lambda *_: None)

    with_worker(work)


def test_a_backend_that_cannot_be_made_fails_to_load(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        wrong = replace(task(tmp_path, "x"), source=replace(PROCEDURAL_SOURCE, backend="ace_step"))
        with pytest.raises(RpcError, match="backend 'ace_step' is not one of procedural") as caught:
            await worker.generate(wrong, lambda *_: None)
        assert caught.value.name == "MODEL_LOAD_FAILED"

    with_worker(work)


def test_a_folder_that_cannot_be_written_is_a_write_error(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        with pytest.raises(RpcError) as caught:
            await worker.generate(task(tmp_path / "missing", "x"), lambda *_: None)
        assert caught.value.name == "CACHE_WRITE_ERROR"

    with_worker(work)


def test_cancel_stops_within_a_step(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        steps: list[int] = []

        def cancel_at_the_third(stage: str, done: int, _total: int) -> None:
            steps.append(done)
            if stage == "denoise" and done == 3:
                worker.cancel("0123456789abcdef")

        with pytest.raises(GenerationCancelled):
            await worker.generate(task(tmp_path, "slow"), cancel_at_the_third)
        # The cancel may arrive when the step after the third already runs.
        assert max(steps) <= 4

    with_worker(work)


def test_cancel_before_the_process_runs_is_not_lost(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        making = asyncio.create_task(worker.generate(task(tmp_path, "slow"), lambda *_: None))
        await asyncio.sleep(0)
        worker.cancel("0123456789abcdef")
        began = time.monotonic()
        with pytest.raises(GenerationCancelled):
            await making
        assert time.monotonic() - began < 3

    with_worker(work)


def test_a_worker_killed_while_idle_costs_no_track(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        await worker.generate(task(tmp_path, "calm"), lambda *_: None)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        done = await worker.generate(task(tmp_path, "calm"), lambda *_: None)
        assert done["event"] == "done"

    with_worker(work)


def test_warming_and_generating_at_once_start_one_process(tmp_path: Path) -> None:
    def children() -> set[str]:
        return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())

    before = children()

    async def work(worker: Worker) -> None:
        await asyncio.gather(
            worker.warm(PROCEDURAL_SOURCE),
            worker.generate(task(tmp_path, "calm"), lambda *_: None),
        )
        assert children() - before == {str(worker.pid)}

    with_worker(work)


def test_a_worker_killed_during_a_track_ends_that_track_within_a_second(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.connect() as client:
        lost = client.call("generate", prompt="slow", duration_sec=5)
        while client.wait_for("generation_progress")["stage"] != "denoise":
            pass  # it is still being loaded
        pid = server.runtime.worker.pid
        assert pid is not None
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        told = client.wait_for("generation_error", "generation_complete")
        assert time.monotonic() - began < 1.0
        assert (told["track_id"], told["code"]) == (lost["track_id"], "MODEL_INFERENCE_FAILED")
        assert "killed by SIGKILL" in told["message"]
        client.call("generate", prompt="calm", duration_sec=5)
        assert client.wait_for("generation_error", "generation_complete")["prompt"] == "calm"
        assert server.runtime.worker.pid != pid
    assert list((tmp_path / "tracks").glob(".*")) == []


def test_a_worker_dies_within_a_second_of_its_killed_server_even_in_a_stuck_step(
    tmp_path: Path,
) -> None:
    script = f"""
import asyncio
from pathlib import Path
from lofi_runtime.library import PROCEDURAL_SOURCE
from lofi_runtime.worker import Task, Worker
async def main():
    worker = Worker({STAND_IN_WORKER!r})
    request = {{"prompt": "stuck", "duration_sec": 5, "seed": 1}}
    task = Task("0" * 16, PROCEDURAL_SOURCE, request, Path({str(tmp_path / "x.wav")!r}))
    def tell(stage, done, total):
        if done == 5:
            print(worker.pid, flush=True)
    await worker.generate(task, tell)
asyncio.run(main())
"""
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert is_running(pid)
    server.kill()
    server.wait()
    server.stdout.close()
    assert wait_until_gone(pid, 1.0) < 1.0


def test_a_worker_whose_pipe_is_closed_ends_in_the_middle_of_a_step(tmp_path: Path) -> None:
    import msgpack

    message = {
        "op": "generate",
        "task": 1,
        "backend": {
            "type": "procedural",
            "folder": None,
            "is_verified": True,
            "threads": 1,
            "model_identity": "",
        },
        "request": {"prompt": "stuck", "duration_sec": 5, "seed": 1},
        "path": str(tmp_path / "x.wav"),
        "license": "",
    }
    worker = subprocess.Popen(
        STAND_IN_WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(msgpack.packb(message))
    unpacker = msgpack.Unpacker(raw=False)
    done = -1
    while done < 5:
        data = worker.stdout.read(1 << 16)
        assert data, "the worker ended"
        unpacker.feed(data)
        done = max([done, *(event.get("done", -1) for event in unpacker)])
    worker.stdin.close()
    assert worker.wait(1.0) == 0
    worker.stdout.close()


def played(server: RunningServer, client: RpcClient) -> dict[str, Any]:
    client.call("generate", prompt="rain", duration_sec=5, inference_steps=2, seed=1)
    return client.wait_for("generation_complete", "generation_error")


def replace_weights(bundle: Path) -> None:
    """Publish other weights under the same name and release, as a recipe run again does."""
    new = make_tiny_bundle(bundle.parent / "aside", seed=8)
    replace_folder(new, bundle)


def test_a_bundle_published_anew_in_its_place_is_what_plays_next(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "models" / "lofi-tiny-fp32")
    with (
        running_server(tmp_path, worker_command=WORKER_COMMAND) as server,
        server.connect() as client,
    ):
        first = played(server, client)
        pid = server.runtime.worker.pid
        replace_weights(bundle)
        second = played(server, client)
        assert server.runtime.worker.pid == pid
    assert first["model_version"] == second["model_version"]
    assert first["track_id"] != second["track_id"]
    assert Path(first["path"]).read_bytes() != Path(second["path"]).read_bytes()
    stages = [params["stage"] for name, params in client.notifications() if "progress" in name]
    assert stages.count("load") > 2


def test_a_bundle_that_cannot_be_loaded_is_told_as_that(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "models" / "lofi-tiny-fp32")
    (bundle / "vocoder.onnx").write_bytes(b"x" * (bundle / "vocoder.onnx").stat().st_size)
    record = json.loads((bundle / "manifest.json").read_text())
    write_manifest(bundle, record["graphs"])
    with (
        running_server(tmp_path, worker_command=WORKER_COMMAND) as server,
        server.connect() as client,
    ):
        told = played(server, client)
    assert told["code"] == "MODEL_LOAD_FAILED"
    assert "vocoder.onnx: ONNX Runtime" in told["message"]


def test_the_server_process_never_imports_what_generates() -> None:
    script = (
        "import sys, lofi_runtime.server\n"
        "heavy = {'numpy', 'scipy', 'onnxruntime', 'soundfile', 'tokenizers'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_dead_child_whose_pipe_lives_on_elsewhere_is_noticed_and_closed(tmp_path: Path) -> None:
    """A process the child left behind may hold its stdout open; nobody waits for that."""
    script = tmp_path / "child.sh"
    script.write_text("#!/bin/sh\nsleep 20 &\necho $! > " + str(tmp_path / "left") + "\nexit 7\n")
    script.chmod(0o755)

    async def work() -> None:
        worker = Worker((str(script),))
        began = time.monotonic()
        with pytest.raises(RpcError, match="exit code 7"):
            await worker.generate(task(tmp_path, "calm"), lambda *_: None)
        await worker.close()
        assert time.monotonic() - began < 5

    try:
        asyncio.run(work())
    finally:
        os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def impatient(**changes: float) -> Worker:
    return Worker(STAND_IN_WORKER, patience=replace(Patience(), **changes))


def test_a_stuck_step_ends_in_an_error_and_the_next_track_comes(tmp_path: Path) -> None:
    async def main() -> None:
        worker = impatient(hang_sec=1.0)
        try:
            began = time.monotonic()
            with pytest.raises(RpcError, match="showed no progress for 1 s") as caught:
                await worker.generate(task(tmp_path, "stuck"), lambda *_: None)
            assert caught.value.name == "MODEL_INFERENCE_FAILED"
            assert "--hang" in caught.value.hint
            assert time.monotonic() - began < 4.0
            await worker.generate(task(tmp_path, "calm"), lambda *_: None)
        finally:
            await worker.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_track_past_its_deadline_is_ended_though_it_progresses(tmp_path: Path) -> None:
    async def main() -> None:
        worker = impatient(deadline_sec=2.0)
        try:
            with pytest.raises(RpcError, match="longer than the deadline of 2 s"):
                await worker.generate(task(tmp_path, "slow"), lambda *_: None)
            await worker.generate(task(tmp_path, "calm"), lambda *_: None)
        finally:
            await worker.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_idle_worker_gives_its_memory_back_and_returns_on_demand(tmp_path: Path) -> None:
    async def main() -> None:
        worker = impatient(unload_sec=0.3)
        watch = asyncio.create_task(worker.unload_when_idle())
        try:
            await worker.generate(task(tmp_path, "calm"), lambda *_: None)
            pid = worker.pid
            assert pid is not None
            while worker.pid is not None:
                await asyncio.sleep(0.02)
            wait_until_gone(pid, 2.0)
            making = asyncio.create_task(worker.generate(task(tmp_path, "slow"), lambda *_: None))
            await asyncio.sleep(1.0)  # longer than unload_sec, and it is not idle
            assert worker.pid not in (None, pid)
            worker.cancel("0123456789abcdef")
            with pytest.raises(GenerationCancelled):
                await making
        finally:
            watch.cancel()
            await worker.close()

    asyncio.run(asyncio.wait_for(main(), 40))


@pytest.mark.skipif(not hasattr(os, "nice"), reason="there is no such priority here")
def test_the_worker_gives_way_to_whoever_else_computes(tmp_path: Path) -> None:
    async def work(worker: Worker) -> None:
        await worker.generate(task(tmp_path, "calm"), lambda *_: None)
        assert worker.pid is not None
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) >= NICENESS

    with_worker(work)
