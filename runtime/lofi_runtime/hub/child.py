"""The child process that pulls for a server: `python -m lofi_runtime.hub.child`.

The library that knows the Hub, and the hashing of gigabytes, stay out of the server. On stdout one
JSON object a line: `{event: progress, ...}`, as often as somebody would look, then `{event: done,
...}` or `{event: failed, message, hint}`. It dies with its parent, whatever kills that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lofi_runtime.child_process import die_with_parent, take_pipes
from lofi_runtime.choosing import AUTO
from lofi_runtime.errors import LofiError
from lofi_runtime.hub.pull import Pulled, PullProgress, pull
from lofi_runtime.hub.repository import open_repository

TELL_EVERY_SEC = 0.1
_NICE = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Pull what the arguments say; returns the exit code."""
    die_with_parent()
    source, sink = take_pipes()
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    # Hashing is the only work here, and nobody waits for it as for a track.
    if hasattr(os, "nice"):
        os.nice(_NICE)
    parser = argparse.ArgumentParser(prog="lofi_runtime.hub.child")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--name", default="")
    parser.add_argument("--precision", default=AUTO)
    asked = parser.parse_args(arguments)

    def tell(event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}).encode() + b"\n"
        while line:
            line = line[os.write(sink, line) :]

    try:
        pulled = pull(
            open_repository(asked.source),
            asked.models,
            name=asked.name,
            precision=asked.precision,
            on_progress=_seldom(tell),
        )
    except LofiError as error:
        tell("failed", message=error.message, hint=error.hint)
        return error.exit_code
    tell("done", **_record(pulled))
    return 0


def _seldom(tell: Callable[..., None]) -> Callable[[PullProgress], None]:
    """Tell of every file, and of its bytes ten times a second."""
    told = ("", 0.0)

    def on_progress(progress: PullProgress) -> None:
        nonlocal told
        file, when = told
        is_end = progress.bytes_done == progress.bytes_total
        if progress.component == file and time.monotonic() - when < TELL_EVERY_SEC and not is_end:
            return
        told = progress.component, time.monotonic()
        tell("progress", **asdict(progress))

    return on_progress


def _record(pulled: Pulled) -> dict[str, Any]:
    manifest = pulled.manifest
    return {
        "bundle": manifest.name,
        "lora": manifest.name.removesuffix(f"-{manifest.variant}"),
        "precision": manifest.variant,
        "version": manifest.version,
        "license": manifest.license,
        "path": str(pulled.folder.absolute()),
        "size_bytes": manifest.size_bytes,
        "was_installed": pulled.was_installed,
    }


def _end_with(source: int) -> None:
    """End when the parent closes the pipe, where the kernel does not tell of its death."""
    while os.read(source, 1 << 12):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
