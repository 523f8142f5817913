"""The child process that generates: `python -m lofi_runtime.worker_main`.

msgpack maps on stdin: `{op: load, backend}`, `{op: generate, task, backend, request, path,
license}`, `{op: cancel, task}`; end of file ends the process. On stdout: `{event, task, ...}` with
event began, progress, done, failed or cancelled. It dies with its parent, whatever kills that.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.backend import Progress, Request
from lofi_runtime.backends import FACTORIES, BackendChoice, Factory
from lofi_runtime.errors import (
    AudioWriteError,
    BackendError,
    BundleError,
    GenerationCancelled,
)
from lofi_runtime.generation import Made, Studio, make_track

_PR_SET_PDEATHSIG = 1
_MOST_STEPS = 200


def main(factories: Mapping[str, Factory] = FACTORIES) -> int:
    """Work until the parent closes the pipe; returns the exit code.

    Args:
        factories: how to make a backend, by its type.
    """
    _die_with_parent()
    source, sink = _take_pipes()
    _Worker(Studio(factories), sink).run(source)
    return 0


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent ends; elsewhere the closed pipe does it."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call; then the signal never comes.
    if os.getppid() != parent:
        os._exit(1)


def _take_pipes() -> tuple[int, int]:
    """Move the pipes away from 0 and 1, so that nobody's print can corrupt the frames."""
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return source, sink


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
            self._studio.load(_choice_of(task["backend"]), lambda *_: None)
        except Exception:
            traceback.print_exc()

    def _generate(self, task: Mapping[str, Any]) -> None:
        number = task["task"]
        self._send("began", number)
        progress = self._progress_for(number)
        code = "MODEL_LOAD_FAILED"
        try:
            progress("load", 0, 1)
            backend = self._studio.load(_choice_of(task["backend"]), progress)
            code = "MODEL_INFERENCE_FAILED"
            path = Path(task["path"])
            request = Request(**task["request"])
            made = make_track(backend, request, path, task["license"], progress)
        except GenerationCancelled:
            self._send("cancelled", number)
        except AudioWriteError as error:
            self._send("failed", number, code="CACHE_WRITE_ERROR", message=str(error))
        except (BackendError, BundleError) as error:
            self._send("failed", number, code=code, message=str(error))
        # The process boundary: a bug in a backend ends this track, not those after it.
        except Exception as error:
            traceback.print_exc()
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


def _choice_of(record: Mapping[str, Any]) -> BackendChoice:
    folder = record.get("folder")
    return BackendChoice(
        type=record["type"],
        folder=Path(folder) if folder else None,
        is_verified=record["is_verified"],
        threads=record["threads"],
        model_identity=record["model_identity"],
    )


if __name__ == "__main__":
    raise SystemExit(main())
