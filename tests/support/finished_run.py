"""One real run of the small recipe, shared by every test that looks at what a run leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.recipes import write_recipe

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For every real run: networks this small gain nothing from threads that wait for each other, and
all runs that are compared must add in the same order."""

LOFI_RECIPE = (sys.executable, "-m", "lofi_engine.cli.main")


@dataclass(frozen=True)
class FinishedRun:
    """A recipe that has run to its end."""

    recipe: Path
    stdout: str
    stderr: str

    @property
    def home(self) -> Path:
        return self.recipe.parent

    @property
    def published(self) -> Path:
        return self.home / "published"

    def bundle(self, variant: str) -> Path:
        return self.published / f"small-{variant}"

    def artifacts(self) -> dict[str, tuple[str, str]]:
        """Key and content hash by stage."""
        return artifacts_of(self.home / "runs" / "small")


def artifacts_of(runs: Path) -> dict[str, tuple[str, str]]:
    found = {}
    for path in runs.glob("*/*/artifact.json"):
        record = json.loads(path.read_text())
        found[record["content"]["stage"]] = (record["content"]["key"], record["content_hash"])
    return found


def lofi_recipe(*arguments: str | Path, cwd: Path | None = None, timeout_sec: float = 540):
    """Call the real command line in a process of its own."""
    return subprocess.run(
        [*LOFI_RECIPE, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout_sec,
        check=False,
        env={**os.environ, **ONE_THREAD},
    )


def run_small_recipe(folder: Path) -> FinishedRun:
    recipe = write_recipe(folder)
    done = lofi_recipe("run", recipe, "--progress", "plain")
    assert done.returncode == 0, done.stderr
    return FinishedRun(recipe, done.stdout, done.stderr)
