"""Draws a backend's progress for a human: a bar on a terminal, a line every ten percent else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lofi_runtime.backend import Progress
from lofi_runtime.progress import ProgressMeter

LINE_EVERY_PERCENT = 10


@contextmanager
def shown_progress(stream: TextIO) -> Iterator[Progress]:
    """Give a progress callback that draws on `stream` while the context lasts."""
    if stream.isatty():
        with _bar(stream) as progress:
            yield progress
    else:
        yield _lines(stream)


def _lines(stream: TextIO) -> Progress:
    meter = ProgressMeter()
    told = -LINE_EVERY_PERCENT

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal told
        meter.update(stage, done, total)
        if meter.percent >= told + LINE_EVERY_PERCENT:
            told = meter.percent - meter.percent % LINE_EVERY_PERCENT
            eta = "" if meter.eta_sec is None else f", {meter.eta_sec:.0f} s left"
            stream.write(f"{meter.percent:3d} % {stage}{eta}\n")
            stream.flush()

    return progress


@contextmanager
def _bar(stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    meter = ProgressMeter()
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[eta]}"),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("load", total=100, eta="")

        def progress(stage: str, done: int, total: int) -> None:
            meter.update(stage, done, total)
            eta = "" if meter.eta_sec is None else f"{meter.eta_sec:.0f} s left"
            bar.update(task, completed=meter.percent, description=stage, eta=eta)

        yield progress
