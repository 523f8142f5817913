"""A worker whose backend writes the prompt to stderr and fails with it, for tests of the log."""

from __future__ import annotations

import sys

from lofi_runtime.backend import Audio, Backend, Progress, Request
from lofi_runtime.sources import BackendChoice
from lofi_runtime.worker_main import main
from tests.support.stand_in_worker import StandInBackend

LEAKY_WORKER = (sys.executable, "-m", "tests.support.leaky_worker")


class LeakyBackend(StandInBackend):
    def generate(self, request: Request, progress: Progress) -> Audio:
        sys.stderr.write(f"warning about {request.prompt[:-3]}...\n")
        raise ValueError(f"cannot make {request.prompt!r} with {request.lyrics!r}")


def make_leaky(choice: BackendChoice, progress: Progress) -> Backend:
    return LeakyBackend()


if __name__ == "__main__":
    raise SystemExit(main({"procedural": make_leaky}))
