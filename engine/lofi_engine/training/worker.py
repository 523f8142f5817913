"""One of the processes that torchrun starts: `python -m lofi_engine.training.worker JOB.json`.

The first of them answers with JSON lines: {"done", "total", "message"} or {"warning"}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.training.job import job_from, train
from lofi_engine.training.launch import answer_line, write_error
from lofi_engine.training.processes import Processes, join_processes
from lofi_runtime.atomic import read_json
from lofi_runtime.errors import LofiError

STOPPED = 130


def main(job_path: Path) -> int:
    """Take part in a job; give the exit code."""
    job = job_from(read_json(job_path))
    try:
        processes = join_processes(job.training.processes)
        train(job, processes, _emit, _warning(processes))
        processes.leave()
    except KeyboardInterrupt:
        return STOPPED
    except LofiError as error:
        write_error(job_path, StageError(error.message, hint=error.hint))
        return error.exit_code
    return 0


def _emit(done: int, total: int, message: str) -> None:
    answer_line({"done": done, "total": total, "message": message})


def _warning(processes: Processes) -> Callable[[str], None]:
    def warn(message: str) -> None:
        if processes.is_first:
            answer_line({"warning": message})

    return warn


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
