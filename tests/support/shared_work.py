"""Long work that tests share, done once a test run however many processes run the tests."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

PLACE = "LOFI_TEST_SHARED"
"""The folder of this test run; set by the process that hands out the tests, before all others."""

_Result = TypeVar("_Result")


def open_place() -> None:
    """Make the folder, for this process and those it starts."""
    os.environ[PLACE] = tempfile.mkdtemp(prefix="lofi-tests-")


def close_place() -> None:
    """Remove the folder and all that was shared."""
    shutil.rmtree(os.environ.pop(PLACE), ignore_errors=True)


def once(name: str, make: Callable[[Path], _Result]) -> _Result:
    """Give what `make(folder)` gives; only the first to ask makes it, the others wait.

    Args:
        name: of the work and of its folder, which all share: look, do not touch.
        make: gives a value that can be pickled.
    """
    folder = Path(os.environ[PLACE]) / name
    answer = folder.with_suffix(".pickle")
    with FileLock(folder.with_suffix(".lock")):
        if not answer.exists():
            shutil.rmtree(folder, ignore_errors=True)  # somebody failed in it
            folder.mkdir(parents=True)
            result = make(folder)
            answer.write_bytes(pickle.dumps(result))
        shared: _Result = pickle.loads(answer.read_bytes())
    return shared
