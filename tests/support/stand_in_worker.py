"""A worker whose "procedural" backend does what the prompt says, for tests of the server.

Words of the prompt: `slow` (0.05 s a step, 200 steps), `stuck` (one endless step), `crash` (kills
itself halfway), `fail` (BackendError), `bug` (ZeroDivisionError), `nan`, `short`, `shout` (prints
to stdout in many ways). Otherwise ten quick steps and a quiet tone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np

from lofi_runtime.backend import SAMPLE_RATE, Audio, Backend, Progress, Request
from lofi_runtime.errors import BackendError
from lofi_runtime.sources import BackendChoice
from lofi_runtime.worker_main import main

STAND_IN_WORKER = (sys.executable, "-m", "tests.support.stand_in_worker")


class StandInBackend:
    type = "procedural"
    name = "Stand-in"
    model_version = "stand-in 1"
    device = "cpu"
    min_duration_sec = 5
    max_duration_sec = 600

    def generate(self, request: Request, progress: Progress) -> Audio:
        words = request.prompt.split()
        steps = 200 if "slow" in words else 10
        for step in range(steps):
            progress("denoise", step, steps)
            if step == steps // 2:
                _misbehave(words)
            if "slow" in words:
                time.sleep(0.05)
        frames = request.duration_sec * SAMPLE_RATE
        samples = np.full((2, frames), 0.1, dtype=np.float32)
        if "nan" in words:
            samples[0, 0] = np.nan
        if "short" in words:
            samples = samples[:, :-1]
        return Audio(samples, warnings=("a stand-in",))


def _misbehave(words: list[str]) -> None:
    if "stuck" in words:
        time.sleep(600)
    if "crash" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    if "fail" in words:
        raise BackendError("the graph does not run", hint="pull it again")
    if "bug" in words:
        raise ZeroDivisionError("division by zero")
    if "shout" in words:
        print("a print", flush=True)
        sys.__stdout__.write("to the real stdout\n")
        os.write(1, b"\xc1 to the file descriptor\n")
        subprocess.run(["echo", "from a child of the child"], check=True)


def make_stand_in(choice: BackendChoice, progress: Progress) -> Backend:
    progress("load", 0, 1)
    return StandInBackend()


if __name__ == "__main__":
    raise SystemExit(main({"procedural": make_stand_in}))
