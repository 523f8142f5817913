"""Starts the processes of a training with torchrun, passes on what they say, and ends with them.

The stage that asks stays one process: it holds the run's lock and speaks to the user. What the
processes are to do stands in a JSON file; the first of them answers with one JSON line an event.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_runtime.atomic import read_json, write_json

JOB = "job.json"
ERROR = "job-error.json"
_TORCHRUN = "ChildFailedError"
_ERROR_LINE = re.compile(r"^(?:\[rank\d+\]: )?([\w.]*(?:Error|Exception)\b.*)$", re.MULTILINE)
LOG = "job.log"
_STOP_SEC = 600.0
"""How long processes may take to end their step and write a checkpoint when told to stop."""


def launch(
    module: str,
    job: Mapping[str, Any],
    folder: Path,
    *,
    processes: int,
    threads: int,
    answer: Callable[[Mapping[str, Any]], None],
) -> None:
    """Run `python -m module FOLDER/job.json` in several processes and wait for them.

    Args:
        module: what every process runs; it calls `answer_line` in its first one, and
            `write_error` where it fails as a user can mend.
        job: what they are told, as JSON values.
        folder: for the job, its error and its log; made if it is not there.
        processes: how many.
        threads: torch threads of each; 0 shares the cores out evenly.
        answer: takes what the first process says.

    Raises:
        StageError: what a process refused, in its own words; or that one died, with its last line;
            or torchrun started this process too.
        KeyboardInterrupt: the user asked to stop; the processes have ended, with a checkpoint.
    """
    around = int(os.environ.get("WORLD_SIZE", "1"))
    if around > 1:
        raise StageError(
            f"torchrun started {around} of this command, which starts {processes} processes itself",
            hint="start it without torchrun: lofi-recipe run RECIPE",
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR).unlink(missing_ok=True)
    write_json(folder / JOB, job)
    cores = os.cpu_count() or 1
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads or max(1, cores // processes))}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", str(processes), "-m", module, str(folder / JOB)]
    with (folder / LOG).open("wb") as log:
        # A session of its own: Ctrl-C reaches this process alone, which then tells the others once.
        started = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            _listen(started, answer)
            code = started.wait()
        except BaseException:
            _stop(started)
            raise
        finally:
            if started.stdout:
                started.stdout.close()
    if code != 0:
        raise _failure(folder, code)


def answer_line(what: Mapping[str, Any]) -> None:
    """Say something to the process that called `launch`; for the first process alone."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def write_error(job_path: Path, error: StageError) -> None:
    """Leave a refusal where `launch` finds it; the first one stays."""
    place = job_path.parent / ERROR
    if not place.exists():
        write_json(place, {"message": error.message, "hint": error.hint})


def _listen(started: subprocess.Popen[bytes], answer: Callable[[Mapping[str, Any]], None]) -> None:
    for line in started.stdout or ():
        with contextlib.suppress(ValueError):  # a library's own words are not ours to pass on
            said = json.loads(line)
            if isinstance(said, dict):
                answer(said)


def _stop(started: subprocess.Popen[bytes]) -> None:
    """Tell the processes to stop, and see them gone.

    They are told themselves: torchrun would pass the signal on, and kill after half a minute
    whoever is still at a long step.
    """
    workers = _workers(started)
    _signal(workers or [started.pid], signal.SIGTERM)
    try:
        started.wait(_STOP_SEC)
    except subprocess.TimeoutExpired:
        _signal([*workers, started.pid], signal.SIGKILL)
        started.wait()


def _workers(started: subprocess.Popen[bytes]) -> list[int]:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return [one.pid for one in psutil.Process(started.pid).children()]
    return []


def _signal(processes: Iterable[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _failure(folder: Path, code: int) -> StageError:
    with contextlib.suppress(OSError, ValueError, KeyError):
        said = read_json(folder / ERROR)
        return StageError(said["message"], hint=said["hint"])
    log = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    # The first error is the cause: others lose their peer, and torchrun ends with one of its own.
    found = _ERROR_LINE.search(log)
    why = found[1] if found and _TORCHRUN not in found[1] else f"code {code}"
    return StageError(f"training: one of its processes died ({why})", hint=f"see {folder / LOG}")
