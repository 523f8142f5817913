"""The server's log: on stderr what goes wrong, in a file that rotates also what happens.

It holds no prompts and no lyrics unless asked to.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lofi_runtime.redaction import redact

Say = Callable[[str], None]
Secrets = Callable[[], Iterable[str]]

_Sink = tuple[logging.Handler, AbstractContextManager[Say]]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def logging_to(path: Path | None, secrets: Secrets | None) -> Iterator[Say]:
    """Log until the context ends; gives what writes a line to this process's stderr.

    With a file, everything that this process and its children write on stderr goes to the file.

    Args:
        path: the file; None for warnings and errors on stderr.
        secrets: tells what must not be logged; None if everything may.

    Raises:
        LofiError: the file cannot be written.
    """
    handler, say_to = _on_stderr() if path is None else _in_file(path)
    shape = "%(asctime)s %(levelname)s %(message)s" if path else "%(message)s"
    handler.setFormatter(_Formatter(shape, secrets))
    root = logging.getLogger()
    level_before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO if path else logging.WARNING)
    try:
        with say_to as say:
            yield say
    finally:
        root.removeHandler(handler)
        root.setLevel(level_before)
        handler.close()


def log_event(event: str, params: dict[str, Any], *, with_prompt: bool) -> None:
    """Log what happened to a track, from its notification; progress is not worth a line.

    Args:
        event: the notification's name.
        params: what it carries.
        with_prompt: whether prompts may be logged.
    """
    track = params.get("track_id", "")
    match event:
        case "generation_start":
            prompt = f": {params['prompt']!r}" if with_prompt else ""
            log.info(
                "track %s: starts (%s, %s s, seed %s)%s",
                *(track, params["backend"], params["duration_sec"], params["seed"], prompt),
            )
        case "generation_complete":
            log.info("track %s: complete, took %.1f s", track, params["generation_time_sec"])
        case "generation_cancelled":
            log.info("track %s: cancelled at step %d", track, params["at_step"])
        case "generation_error":
            log.error("track %s: %s: %s", track, params["code"], params["message"])


class _Formatter(logging.Formatter):
    def __init__(self, shape: str, secrets: Secrets | None) -> None:
        super().__init__(shape)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return redact(text, self._secrets()) if self._secrets else text


def _on_stderr() -> _Sink:
    return logging.StreamHandler(), contextlib.nullcontext(_say)


def _in_file(path: Path) -> _Sink:
    from lofi_runtime.log_file import open_log, stderr_logged

    return open_log(path), stderr_logged()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
