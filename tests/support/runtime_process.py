"""`lofi-runtime` as a process of its own, in folders of its own, for tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

COMMAND = (sys.executable, "-m", "lofi_runtime.cli")


@contextlib.contextmanager
def new_home() -> Iterator[dict[str, str]]:
    """An environment whose every folder is new, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="lofi") as name:
        folders = {
            f"XDG_{kind}": f"{name}/{kind.lower()}"
            for kind in ("RUNTIME_DIR", "CACHE_HOME", "DATA_HOME", "STATE_HOME")
        }
        for folder in folders.values():
            Path(folder).mkdir(mode=0o700)
        yield {**os.environ, **folders, "HOME": name, "NO_COLOR": "1", "COLUMNS": "100"}


def run_folder(home: dict[str, str]) -> Path:
    """Where the server's socket and files are."""
    return Path(home["XDG_RUNTIME_DIR"]) / "lofi"


def run(home: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=home, capture_output=True, text=True, timeout=60
    )


@contextlib.contextmanager
def serving(home: dict[str, str], *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A server that has said it is ready; `ready` is that line."""
    command = [*COMMAND, "serve", *map(str, arguments)]
    with subprocess.Popen(command, env=home, stderr=subprocess.PIPE, text=True) as server:
        try:
            server.ready = server.stderr.readline()
            assert " ready on " in server.ready, server.ready
            yield server
        finally:
            if server.poll() is None:
                server.terminate()
            try:
                server.wait(10)
            finally:
                server.kill()
