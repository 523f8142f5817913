"""Runs a recipe again and again, each time killed, by SIGKILL, inside one stage.

`killed_run RECIPE` reads `STAGE DONE` line by line: the kill comes with the stage's first progress
of at least DONE, so some of its work is done and none is recorded. Each run is a process of its
own, forked from one that has imported what all of them need; the answer is its exit status.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path

from lofi_engine.events import Event
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import run
from lofi_engine.stages.registry import STAGES

HEAVY = ("torch", "torch.onnx", "peft", "librosa", "sklearn.cluster", "onnxruntime", "onnxscript")


def main(recipe: str) -> None:
    for name in HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        stage, done = line.split()
        child = os.fork()
        if child == 0:
            _run_and_die(Path(recipe), stage, int(done))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run_and_die(recipe: Path, stage: str, done: int) -> None:
    def die(event: Event) -> None:
        if event.stage == stage and event.kind == "progress" and event.done >= done:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        run(load_recipe(recipe), STAGES, sink=die)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
