"""Draws bytes for a human: a bar on a terminal, a line every ten percent else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

LINE_EVERY_PERCENT = 10

OnBytes = Callable[[str, int, int], None]
"""`on_bytes(what, done, total)`."""


@contextmanager
def shown_bytes(stream: TextIO) -> Iterator[OnBytes]:
    """Give a callback that draws on `stream` while the context lasts."""
    if stream.isatty():
        with _bar(stream) as on_bytes:
            yield on_bytes
    else:
        yield _lines(stream)


def size_text(size_bytes: int) -> str:
    """Write a size for people: "3.26 GB", "12.3 MB", "310 bytes"."""
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:.2f} GB"
    if size_bytes >= 1e6:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes} bytes" if size_bytes < 1e4 else f"{size_bytes / 1e3:.0f} kB"


def _lines(stream: TextIO) -> OnBytes:
    told = -LINE_EVERY_PERCENT

    def on_bytes(what: str, done: int, total: int) -> None:
        nonlocal told
        percent = 100 * done // total if total else 100
        if percent >= told + LINE_EVERY_PERCENT:
            told = percent - percent % LINE_EVERY_PERCENT
            stream.write(f"{percent:3d} % of {size_text(total)}, {what}\n")
            stream.flush()

    return on_bytes


@contextmanager
def _bar(stream: TextIO) -> Iterator[OnBytes]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description:<30}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("", total=None)

        def on_bytes(what: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield on_bytes
