"""A few child processes that do jobs; one that crashes costs its own job and nothing else.

Decoders are C code fed with strangers' files. When a child dies, the jobs it may have held are
done again one at a time, each alone, so that the one that kills is known by name.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from lofi_engine.data.prepare import Prepared

MAX_WORKERS = 8
CRASHED = "the decoder crashed on it"

_Job = TypeVar("_Job")
Work = Callable[[_Job, Path], Prepared]
"""Does a job and leaves what came of it at its place."""


def prepare_all(
    jobs: Sequence[tuple[_Job, Path]], work: Work[_Job], *, workers: int = 0
) -> Iterator[tuple[int, Prepared]]:
    """Do jobs in child processes.

    Args:
        jobs: each with the place of what comes of it, such as the folder of its unit.
        work: what is done with each, importable by name, such as `prepare`.
        workers: processes; 0 takes one for each core, 8 at most.

    Yields:
        A job's number and what came of it, as they finish. A job that kills its process comes
        back refused.

    Raises:
        OSError: the disk.
    """
    count = min(workers or _cores(), max(1, len(jobs)))
    left = dict(enumerate(jobs))
    while left:
        with contextlib.suppress(BrokenProcessPool):
            for number, result in _pooled(left, count, work):
                del left[number]
                yield number, result
        # Only when a child died is anything left. The executor hands jobs out in order and a few
        # ahead, so the one that killed it is among the first.
        for number in list(left)[: 2 * count + 1]:
            yield number, _alone(left.pop(number), work)


def _alone(job: tuple[_Job, Path], work: Work[_Job]) -> Prepared:
    try:
        return next(result for _, result in _pooled({0: job}, 1, work))
    except BrokenProcessPool:
        return Prepared(reasons=(CRASHED,))


def _pooled(
    jobs: dict[int, tuple[_Job, Path]], workers: int, work: Work[_Job]
) -> Iterator[tuple[int, Prepared]]:
    if not jobs:
        return
    # Spawned, not forked: the parent may hold threads (numpy, torch) that a fork would cut.
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=settle
    )
    try:
        numbers = {pool.submit(work, *job): number for number, job in jobs.items()}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def settle() -> None:
    """Make a child behave: quiet, deaf to Ctrl-C, gone when its parent is, and on one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # There is a process for each core already. NumPy, imported after this, reads it once.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with contextlib.suppress(OSError):
        # mpg123 writes its doubts about every broken MP3 to stderr, through any progress bar.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _cores() -> int:
    return min(MAX_WORKERS, len(os.sched_getaffinity(0)))
