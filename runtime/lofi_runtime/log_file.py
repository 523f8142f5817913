"""A log file that rotates, and that takes what arrives at stderr too."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from lofi_runtime.errors import LofiError

LOG_BYTES, LOG_FILES = 1_000_000, 3
"""A file's size, and how many older ones are kept: 4 MB in all."""

log = logging.getLogger(__name__)


def open_log(path: Path) -> logging.Handler:
    """Make the handler that writes to `path`, which is opened with its first line.

    Raises:
        LofiError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A server that finds another one running writes nothing, so it opens nothing.
        handler = _PrivateFile(
            path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True
        )
        if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
            raise PermissionError(0, "not writable")
    except OSError as error:
        raise LofiError(
            f"--log {path}: {error.strerror or error}", hint="give a file in a folder of yours"
        ) from error
    return handler


@contextlib.contextmanager
def stderr_logged() -> Iterator[Callable[[str], None]]:
    """Log each line that arrives at this process's stderr; gives what still writes to it."""
    sys.stderr.flush()
    terminal = os.dup(2)
    source, sink = os.pipe()
    os.dup2(sink, 2)
    os.close(sink)
    reader = threading.Thread(target=_log_lines, args=(source,), daemon=True)
    reader.start()

    def say(line: str) -> None:
        log.info("%s", line)
        with contextlib.suppress(OSError):
            os.write(terminal, (line + "\n").encode())

    try:
        yield say
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        # The pipe ends with its last writer; one that a child left behind is not waited for.
        reader.join(1.0)


class _PrivateFile(RotatingFileHandler):
    """A log that this user alone can read, and that a full disk does not end the server for."""

    def _open(self) -> io.TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=opener)  # type: ignore[return-value]

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        # The default says so on stderr, which comes back here.
        pass


def _log_lines(source: int) -> None:
    with os.fdopen(source, "rb") as lines:
        while line := lines.readline(1 << 16):
            log.info("%s", line.decode("utf-8", "backslashreplace").rstrip())
