"""Executes a plan: what is finished is kept, what is missing is made, nothing half-made is left.

Each stage works in a temporary folder beside its place; its record is written last and the folder
renamed. A killed run leaves only temporary folders, which the next run removes, and the stages'
own progress, which the next run uses.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import resource
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout

from lofi_engine.artifact import Artifact, read_artifact, write_record
from lofi_engine.errors import StageError
from lofi_engine.events import Event, EventSink, ignore
from lofi_engine.fingerprints import Fingerprints
from lofi_engine.lookup import StageState, artifact_folder, look_up
from lofi_engine.plan import PIPELINE, PlannedStage, plan
from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import PROGRESS, Outcome, Stage, StageContext
from lofi_runtime.atomic import OLD, recover_folder, replace_folder

RUNS = "runs"
LOCK_NAME = ".lock"
LOG_NAME = "events.jsonl"
_TEMPORARY = ".making-"
_RECORDED_PACKAGES = (
    "lofi-recipe", "numpy", "scipy", "soundfile", "librosa", "torch", "transformers", "diffusers",
    "peft", "onnx", "onnxscript", "onnxruntime",
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """Which stages to run.

    Args:
        only: run just these; what they read must be finished. Empty means all.
        start_from: run this stage and all after it again, finished or not.
        force: run every chosen stage again, finished or not.
    """

    only: tuple[str, ...] = ()
    start_from: str | None = None
    force: bool = False


EVERYTHING = Choice()
"""All stages, finished ones kept."""


def runs_folder(recipe: Recipe) -> Path:
    """Give the recipe's own folder under `runs/`, beside the recipe file."""
    return recipe.home / RUNS / recipe.name


def plan_states(
    recipe: Recipe,
    stages: Mapping[str, Stage],
    pipeline: Mapping[str, tuple[str, ...]] = PIPELINE,
) -> tuple[StageState, ...]:
    """Plan the recipe and look up each stage on disk; changes nothing but the hash table."""
    table = Fingerprints(runs_folder(recipe))
    states = look_up(plan(recipe, stages, table, pipeline), runs_folder(recipe), table)
    table.save()
    return states


def run(
    recipe: Recipe,
    stages: Mapping[str, Stage],
    *,
    sink: EventSink = ignore,
    choice: Choice = EVERYTHING,
    pipeline: Mapping[str, tuple[str, ...]] = PIPELINE,
) -> dict[str, Artifact]:
    """Bring every chosen stage of the recipe to a finished artifact.

    Args:
        recipe: what to make.
        stages: the stage modules by name.
        sink: takes progress events; they are also appended to `events.jsonl`.
        choice: which stages to run.
        pipeline: the order, for tests.

    Returns:
        The artifacts by stage name, cached ones included.

    Raises:
        StageError: a stage failed, another run holds the lock, or `runs/` cannot be written.
    """
    folder = runs_folder(recipe)
    with exclusive(folder):
        _remove_temporary(folder)
        table = Fingerprints(folder)
        states = look_up(plan(recipe, stages, table, pipeline), folder, table)
        table.save()
        todo = chosen_stages(states, choice)
        with _logged(folder / LOG_NAME, sink) as log:
            return _run_all(recipe, stages, states, todo, log)


def chosen_stages(states: Sequence[StageState], choice: Choice) -> set[str]:
    """Give the names of the stages a run with this choice would execute.

    Raises:
        StageError: no such stage, or one is chosen whose input is not finished.
    """
    names = [state.stage.name for state in states]
    for name in (*choice.only, *(() if choice.start_from is None else (choice.start_from,))):
        if name not in names:
            raise StageError(f"'{name}' is not a stage", hint=f"stages are {', '.join(names)}")
    again: set[str] = set()
    if choice.start_from is not None:
        again = set(names[names.index(choice.start_from) :])
    elif choice.force:
        again = set(choice.only or names)
    todo = {state.stage.name for state in states if not state.cached} | again
    if not choice.only:
        return todo
    for state in states:
        blocked = [name for name in state.stage.inputs if name in todo - set(choice.only)]
        if state.stage.name in choice.only and blocked:
            reason = next(other.reason for other in states if other.stage.name == blocked[0])
            raise StageError(
                f"cannot run only {state.stage.name}: {blocked[0]} is not finished ({reason})",
                hint=f"run it with --only {blocked[0]} or leave --only out",
            )
    return todo & set(choice.only)


def _run_all(
    recipe: Recipe,
    stages: Mapping[str, Stage],
    states: Sequence[StageState],
    todo: set[str],
    sink: EventSink,
) -> dict[str, Artifact]:
    finished: dict[str, Artifact] = {}
    for state in states:
        name = state.stage.name
        if name in todo:
            finished[name] = _run_one(recipe, stages[name], state.stage, finished, sink)
        elif state.artifact is not None:
            finished[name] = state.artifact
            sink(Event(name, 0, 0, "", state.stage.key, kind="cached"))
    return finished


def _run_one(
    recipe: Recipe,
    stage: Stage,
    planned: PlannedStage,
    finished: Mapping[str, Artifact],
    sink: EventSink,
) -> Artifact:
    folder = runs_folder(recipe)
    place = artifact_folder(folder, planned)
    work = place.with_name(f"{_TEMPORARY}{planned.key}")
    progress = place.with_name(f"{PROGRESS}{planned.key}")
    started, clock = time.time(), time.monotonic()
    sink(Event(planned.name, 0, 0, "", planned.key, kind="begin"))
    try:
        with telling_full_disks(planned.name, folder):
            work.mkdir(parents=True)
            context = StageContext(
                stage=planned.name,
                work=work,
                progress=progress,
                inputs={name: finished[name].folder for name in planned.inputs},
                home=recipe.home,
                seed=planned.seed,
                sink=sink,
                workers=recipe.execution.workers,
                threads=recipe.execution.threads,
            )
            outcome = stage.run(context, planned.settings_value)
            _record(recipe, planned, work, outcome, started, time.monotonic() - clock)
            # Forced again, the old artifact stays until the new one is there.
            replace_folder(work, place)
    except BaseException as error:
        shutil.rmtree(work, ignore_errors=True)
        _remove_if_empty(progress)
        kind = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        sink(Event(planned.name, 0, 0, "", _one_line(error), kind=kind))
        raise
    shutil.rmtree(progress, ignore_errors=True)
    artifact = read_artifact(place)
    if artifact is None:
        raise StageError(f"{place}: the finished folder vanished", hint="run again")
    took = f"{time.monotonic() - clock:.1f} s"
    sink(Event(planned.name, 1, 1, "", took, kind="done"))
    return artifact


def _record(
    recipe: Recipe,
    planned: PlannedStage,
    work: Path,
    outcome: Outcome,
    started: float,
    duration_sec: float,
) -> None:
    write_record(
        work,
        content={**planned.identity(), "key": planned.key},
        outcome=outcome,
        recipe={"name": recipe.name, "text": recipe.text},
        measured={
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "duration_sec": round(duration_sec, 3),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "versions": _versions(),
        },
    )


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the recipe's `runs` folder for oneself; it is made if it is not there.

    Raises:
        StageError: another run holds it, or it cannot be written.
    """
    with telling_full_disks("run", folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StageError(
                f"run: cannot write here: {folder}: a file is in the way", hint="move it away"
            ) from error
        # `status` holds the lock for an instant to see whether it is free.
        lock = FileLock(folder / LOCK_NAME, timeout=0.5)
        try:
            lock.acquire()
        except Timeout:
            raise StageError(
                f"{folder}: another run of this recipe is working here",
                hint="wait for it to end, or stop it",
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _logged(path: Path, sink: EventSink) -> Iterator[EventSink]:
    with telling_full_disks("run", path.parent), path.open("a", encoding="utf-8") as file:

        def both(event: Event) -> None:
            line = {"time": round(time.time(), 3), **vars(event)}
            with contextlib.suppress(OSError):  # a full disk must not hide the real error
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
            sink(event)

        yield both


@contextlib.contextmanager
def telling_full_disks(stage: str, folder: Path) -> Iterator[None]:
    """Turn a full or unwritable disk, however a library words it, into one clear sentence."""
    try:
        yield
    except StageError:
        raise
    except Exception as error:
        trouble = _disk_trouble(error, folder)
        if trouble is None:
            raise
        where = Path(getattr(error, "filename", None) or folder)
        if trouble == _UNWRITABLE and where.is_file() and folder not in where.parents:
            trouble = _UNREADABLE
        raise StageError(f"{stage}: {trouble}: {where}", hint=_DISK_HINTS[trouble]) from error


_FULL, _UNWRITABLE, _UNREADABLE = "the disk is full", "cannot write here", "cannot read"
_DISK_HINTS = {
    _FULL: "free some space and run again; finished stages are kept",
    _UNWRITABLE: "make it writable or move the recipe elsewhere",
    _UNREADABLE: "make the file readable for you",
}
_SAYS_FULL = re.compile(r"no space left|\d+ requested and \d+ written", re.IGNORECASE)
"""What libraries say without a number: the latter is NumPy's, writing an array."""
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def _disk_trouble(error: BaseException, folder: Path) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        code = getattr(cause, "errno", None)
        if code in (errno.ENOSPC, errno.EDQUOT) or _SAYS_FULL.search(str(cause)):
            return _FULL
        if isinstance(cause, OSError) and code in _REFUSED:
            return _UNWRITABLE
        cause = cause.__cause__ or cause.__context__
    with contextlib.suppress(OSError):
        # libsndfile, ONNX Runtime and others report a full disk in words of their own.
        if shutil.disk_usage(folder).free < 64 * 1024:
            return _FULL
    return None


def _remove_temporary(folder: Path) -> None:
    for leftover in folder.glob(f"*/{_TEMPORARY}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for old in folder.glob(f"*/.*{OLD}"):
        recover_folder(old.with_name(old.name[1 : -len(OLD)]))


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _versions() -> dict[str, str]:
    found = {}
    for package in _RECORDED_PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _one_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
