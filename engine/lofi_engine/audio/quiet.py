"""Keeps what C libraries write to the terminal away from it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to stderr below Python, such as mpg123's doubts about broken MP3s."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is no stderr to keep clean
        yield
        return
    silent = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silent, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(silent)
        os.close(kept)
