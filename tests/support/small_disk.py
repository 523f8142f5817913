"""A file system that is soon full, and one that grows while a test runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted_disk(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system of `size` ("24m") at `place`; skip, or fail, where one may not."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        leave = pytest.fail if os.environ.get("LOFI_REQUIRE_ALL") else pytest.skip
        leave("a small tmpfs cannot be mounted here (that needs root)")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Change a mounted disk: "size=200m", "ro"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
