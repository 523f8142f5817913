"""`lofi-recipe status`: what is finished, when, how large, and what the last run said."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lofi_engine.cli.plan import line_of
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import LOCK_NAME, LOG_NAME, plan_states, runs_folder
from lofi_engine.stages.registry import STAGES


def run_status(path: Path, overrides: Sequence[str] = ()) -> int:
    """Print each stage's state with time and size, and the last event of the last run."""
    recipe = load_recipe(path, overrides)
    folder = runs_folder(recipe)
    for state in plan_states(recipe, STAGES):
        line = line_of(state)
        if state.artifact is not None:
            measured = state.artifact.measured
            size = sum(
                file.stat().st_size for file in state.artifact.folder.rglob("*") if file.is_file()
            )
            line += (
                f"  {measured['duration_sec']:.1f} s, {size / 1e6:.1f} MB, {measured['started']}"
            )
        sys.stdout.write(line + "\n")
    running = _is_running(folder / LOCK_NAME)
    last = _last_event(folder / LOG_NAME)
    sys.stdout.write(f"\n{'a run is at work' if running else 'no run is at work'}")
    sys.stdout.write(f"; last event: {last}\n" if last else "\n")
    return 0


def _is_running(lock: Path) -> bool:
    from filelock import FileLock, Timeout

    if not lock.exists():
        return False
    probe = FileLock(lock, timeout=0)
    try:
        probe.acquire()
    except Timeout:
        return True
    probe.release()
    return False


def _last_event(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        lines = file.read().decode("utf-8", "replace").splitlines()
    try:
        event = json.loads(lines[-1])
    except (IndexError, ValueError):
        return ""
    count = f" {event['done']}/{event['total']} {event['unit']}" if event["total"] else ""
    return f"{event['stage']} {event['kind']}{count} {event['message']}".rstrip()
