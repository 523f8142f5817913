"""Draws progress events on the terminal: a live line where there is one, plain lines elsewhere.

Everything goes to standard error; standard output is for results.
"""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from lofi_engine.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_EVERY_SEC = 5.0


class PlainLines:
    """One line an event, progress at most every few seconds a stage.

    Args:
        stream: where lines go.
    """

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write the event as a line, or hold it back."""
        if event.kind == "progress":
            now = time.monotonic()
            if event.done < event.total and now - self._last.get(event.stage, 0) < _PLAIN_EVERY_SEC:
                return
            self._last[event.stage] = now
        self._stream.write(describe(event) + "\n")
        self._stream.flush()


class JsonLines:
    """One JSON object an event, for programs.

    Args:
        stream: where lines go.
    """

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write the event as one JSON object."""
        self._stream.write(json.dumps(vars(event), ensure_ascii=False) + "\n")
        self._stream.flush()


class LiveLines:
    """Finished stages as lines, the running one as a bar below them (rich)."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress: Progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[message]}", markup=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> LiveLines:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Draw the event."""
        if event.kind == "progress":
            self._draw(event)
            return
        if event.kind in ("begin", "done", "stopped", "failed") and self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        if event.kind != "begin":
            self._progress.console.print(describe(event), markup=False, highlight=False)

    def _draw(self, event: Event) -> None:
        from rich.markup import escape

        if self._task is None:
            self._task = self._progress.add_task(event.stage, total=1, unit="", message="")
        self._progress.update(
            self._task,
            completed=event.done,
            total=max(event.total, 1),
            unit=event.unit,
            message=escape(event.message),
        )


def describe(event: Event) -> str:
    """Say an event in one line."""
    stage = f"{event.stage:<9}"
    match event.kind:
        case "begin":
            return f"{stage} begins"
        case "cached":
            return f"{stage} cached"
        case "done":
            return f"{stage} done in {event.message}"
        case "failed":
            return f"{stage} failed"
        case "stopped":
            return f"{stage} stopped; run again to go on"
        case "warning":
            return f"{stage} warning: {event.message}"
        case "note":
            return f"{stage} {event.message}"
    count = f"{event.done}/{event.total} {event.unit}"
    return f"{stage} {count}  {event.message}".rstrip()
