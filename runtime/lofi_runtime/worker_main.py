"""The child process that generates: `python -m lofi_runtime.worker_main`.

msgpack maps on stdin: `{op: load, backend}`, `{op: generate, task, backend, request, path,
license}`, `{op: cancel, task}`; end of file ends the process. On stdout: `{event, task, ...}` with
event began, loaded, progress, done, failed or cancelled. It dies with its parent, whatever kills
that.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.audio_format import AudioFormat
from lofi_runtime.backend import Progress, Request
from lofi_runtime.backends import FACTORIES, Factory
from lofi_runtime.child_process import die_with_parent, take_pipes
from lofi_runtime.errors import (
    AudioWriteError,
    BackendError,
    BundleError,
    GenerationCancelled,
)
from lofi_runtime.generation import Made, make_track
from lofi_runtime.redaction import redact
from lofi_runtime.sources import BackendChoice
from lofi_runtime.studio import Studio

_MOST_STEPS = 200
NICENESS = 10
"""How much lower the worker's priority is than the server's; where nobody else computes, it costs
nothing."""


def main(factories: Mapping[str, Factory] = FACTORIES) -> int:
    """Work until the parent closes the pipe; returns the exit code.

    Args:
        factories: how to make a backend, by its type.
    """
    die_with_parent()
    _give_way()
    source, sink = take_pipes()
    _Worker(Studio(factories), sink).run(source)
    return 0


def _give_way() -> None:
    """Let whoever works at this machine, and the server itself, go first."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


class _Worker:
    """One track at a time in the main thread; a second thread listens for cancels."""

    def __init__(self, studio: Studio, sink: int) -> None:
        self._studio = studio
        self._sink = sink
        self._tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[int] = set()

    def run(self, source: int) -> None:
        threading.Thread(target=self._listen, args=(source,), daemon=True).start()
        while True:
            task = self._tasks.get()
            if task["op"] == "load":
                self._load_early(task)
            else:
                self._generate(task)

    def _listen(self, source: int) -> None:
        unpacker = msgpack.Unpacker(raw=False)
        while data := os.read(source, 1 << 16):
            unpacker.feed(data)
            for message in unpacker:
                if message["op"] == "cancel":
                    self._cancelled.add(message["task"])
                else:
                    self._tasks.put(message)
        # The parent is gone or wants an end: not even a running step is waited for.
        os._exit(0)

    def _load_early(self, task: Mapping[str, Any]) -> None:
        """Load ahead of the first request; a failure is told when a track needs the backend."""
        try:
            self._studio.load(BackendChoice.from_record(task["backend"]), lambda *_: None)
        except Exception:
            traceback.print_exc()

    def _generate(self, task: Mapping[str, Any]) -> None:
        number = task["task"]
        self._send("began", number)
        progress = self._progress_for(number)
        code = "MODEL_LOAD_FAILED"
        try:
            progress("load", 0, 1)
            choice = BackendChoice.from_record(task["backend"])
            backend = self._studio.load(choice, progress)
            self._send("loaded", number, device=backend.device)
            code = "MODEL_INFERENCE_FAILED"
            path = Path(task["path"])
            request = Request(**task["request"])
            form = AudioFormat(*task.get("audio_format", ()))
            made = make_track(backend, request, path, task["license"], progress, form)
        except GenerationCancelled:
            self._send("cancelled", number)
        except AudioWriteError as error:
            self._send("failed", number, code="CACHE_WRITE_ERROR", message=str(error))
        except (BackendError, BundleError) as error:
            self._send("failed", number, code=code, message=str(error))
        # The process boundary: a bug in a backend ends this track, not those after it.
        except Exception as error:
            _tell_bug(task.get("request", {}))
            message = f"{type(error).__name__}: {error}"
            self._send("failed", number, code=code, message=message)
        else:
            self._send_done(number, made)
        finally:
            self._cancelled.discard(number)

    def _send_done(self, number: int, made: Made) -> None:
        self._send(
            "done",
            number,
            duration_sec=made.duration_sec,
            warnings=list(made.warnings),
        )

    def _progress_for(self, number: int) -> Progress:
        """Return a callback that raises when cancelled, and tells steps or, of many, percents."""
        told: tuple[str, int] = ("", -1)

        def progress(stage: str, done: int, total: int) -> None:
            nonlocal told
            if number in self._cancelled:
                raise GenerationCancelled(f"task {number} was cancelled")
            now = stage, done if total <= _MOST_STEPS else 100 * done // total
            if now != told:
                told = now
                self._send("progress", number, stage=stage, done=done, total=total)

        return progress

    def _send(self, event: str, number: int, **rest: object) -> None:
        frame = msgpack.packb({"event": event, "task": number, **rest})
        while frame:
            frame = frame[os.write(self._sink, frame) :]


def _tell_bug(request: Mapping[str, Any]) -> None:
    """Write the error being handled to stderr, which is logged: without what the user wrote."""
    secrets = [request[name] for name in ("prompt", "lyrics") if request.get(name)]
    sys.stderr.write(redact(traceback.format_exc(), secrets))


if __name__ == "__main__":
    raise SystemExit(main())
