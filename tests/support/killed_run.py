"""Runs a recipe and kills itself, by SIGKILL, inside one stage: `killed_run RECIPE STAGE [DONE]`.

The kill comes with the stage's first progress of at least DONE (1), so some of its work is done and
none is recorded.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lofi_engine.events import Event
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import run
from lofi_engine.stages.registry import STAGES


def main(recipe: str, stage: str, done: str = "1") -> None:
    def die(event: Event) -> None:
        if event.stage == stage and event.kind == "progress" and event.done >= int(done):
            os.kill(os.getpid(), signal.SIGKILL)

    run(load_recipe(Path(recipe)), STAGES, sink=die)


if __name__ == "__main__":
    main(*sys.argv[1:])
