"""What a step costs a real server outside the network: loop, guidance, progress, notifications.

A server in a process of its own plays the small base to a client on its socket, by its real worker.
The worker takes the processor time of denoising less what was spent inside ONNX Runtime; the
server's own processor time over the same steps is read from the system (Linux: schedstat). Latents
of the small base have the published model's shape, so the loop's arithmetic is that of full width.

Also the two processes that `overhead` starts: `serve` is the server, `work` its worker.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

STEPS, TRACKS = 40, 3
PROMPT = "lofi hip hop, chill, piano, 80 bpm, vinyl crackle, late night, instrumental"


@dataclass(frozen=True)
class Overhead:
    """Processor seconds a step outside the network, medians of tracks."""

    worker_sec: float
    server_sec: float

    @property
    def sec(self) -> float:
        """Both processes."""
        return self.worker_sec + self.server_sec


def overhead(durations_sec: Mapping[int, int]) -> dict[int, Overhead]:
    """Play tracks of the small base; give what a step costs, by frames.

    Args:
        durations_sec: the duration of a track, by its latent frames.
    """
    from bench_nano import export_base
    from stand_in_manifest import manifest_record

    from lofi_engine.models.ace_step_v1.builtin import NANO
    from lofi_engine.recipe.model import Base
    from lofi_engine.stages.export import MODEL_FILE

    with tempfile.TemporaryDirectory(prefix="bench-served-") as place:
        folder = Path(place)
        bundle = export_base(Base("ace-step-v1", NANO, "main", None), folder, 1)
        pipeline = json.loads((bundle / MODEL_FILE).read_text(encoding="utf-8"))["pipeline"]
        record = manifest_record(bundle, pipeline)
        (bundle / "manifest.json").write_text(json.dumps(record), encoding="utf-8")
        notes = folder / "notes"
        command = [sys.executable, __file__, "serve", str(folder), str(bundle), str(notes)]
        server = subprocess.Popen(command)
        try:
            client = Client(folder / "run" / "runtime.sock")
            return {
                frames: _of_tracks(client, server.pid, duration_sec, notes)
                for frames, duration_sec in durations_sec.items()
            }
        finally:
            server.terminate()
            server.wait(10)


def _of_tracks(client: Client, pid: int, duration_sec: int, notes: Path) -> Overhead:
    """Play some tracks after one that does not count."""
    of_server = []
    for seed in range(TRACKS + 1):
        asked = {"prompt": PROMPT, "duration_sec": duration_sec, "seed": seed}
        client.ask("generate", backend="ace_step", inference_steps=STEPS, **asked)
        begun = ended = 0.0
        for name, told in client.notifications():
            if name == "generation_error":
                raise RuntimeError(f"the server could not play: {told['message']}")
            if name in ("generation_cancelled", "generation_complete"):
                break
            stage = told.get("stage")
            if stage == "denoise" and not begun:
                begun = processor_sec(pid)
            if stage == "decode" and not ended:
                ended = processor_sec(pid)
                client.ask("cancel", track_id=told["track_id"])  # what follows is not measured
        of_server.append((ended - begun) / STEPS)
    lines = notes.read_text(encoding="utf-8").splitlines()[-TRACKS:]
    of_worker = [float(line) / STEPS for line in lines]
    return Overhead(statistics.median(of_worker), statistics.median(of_server[1:]))


def processor_sec(pid: int) -> float:
    """Give the processor seconds of a process so far, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    spent = [one.read_text(encoding="utf-8").split()[0] for one in threads]
    return sum(map(int, spent)) / 1e9


class Client:
    """A client that asks and hears what the server tells it."""

    def __init__(self, path: Path, wait_sec: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        deadline = time.monotonic() + wait_sec
        while True:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._socket.settimeout(300)
        self._unpacker = msgpack.Unpacker(raw=False)
        self._asked = 0

    def ask(self, method: str, **params: Any) -> None:
        """Send a request; its answer is not waited for, an error among the frames is raised."""
        self._asked += 1
        self._socket.sendall(msgpack.packb([0, self._asked, method, [params]]))

    def notifications(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give notifications as they come."""
        while True:
            for frame in self._unpacker:
                if frame[0] == 2:
                    yield frame[1], frame[2][0]
                elif frame[2] is not None:
                    raise RuntimeError(f"the server refused: {frame[2]}")
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._unpacker.feed(data)


def serve_here(folder: Path, bundle: Path, notes: Path) -> int:
    """Be the server."""
    from lofi_runtime.server import serve
    from lofi_runtime.settings import Settings

    settings = Settings(
        socket=folder / "run" / "runtime.sock",
        tracks=folder / "tracks",
        models=folder / "models",
        bundle=bundle,
        threads=1,
        worker_command=(sys.executable, __file__, "work", str(notes)),
    )
    return serve(settings)


def work_here(notes: Path) -> int:
    """Be the worker, and note of each track what denoising cost outside ONNX Runtime."""
    from session_clock import SessionClock

    from lofi_runtime.backend import Audio, Backend, Progress, Request
    from lofi_runtime.backends import FACTORIES
    from lofi_runtime.worker_main import main as work

    clock = SessionClock()

    class Noted:
        """A backend whose denoising is timed."""

        def __init__(self, backend: Backend) -> None:
            self._backend = backend

        def __getattr__(self, name: str) -> Any:
            return getattr(self._backend, name)

        def generate(self, request: Request, progress: Progress) -> Audio:
            outside: dict[str, float] = {}

            def noted(stage: str, done: int, total: int) -> None:
                if stage not in outside:
                    outside[stage] = time.process_time() - clock.sec
                    if stage == "decode":
                        with notes.open("a", encoding="utf-8") as lines:
                            lines.write(f"{outside[stage] - outside['denoise']}\n")
                progress(stage, done, total)

            return self._backend.generate(request, noted)

    def make(*given: Any) -> Any:
        return Noted(FACTORIES["ace_step"](*given))

    return work({"ace_step": make})


if __name__ == "__main__":
    doing, *paths = sys.argv[1:]
    places = [Path(path) for path in paths]
    sys.exit(serve_here(*places) if doing == "serve" else work_here(*places))
