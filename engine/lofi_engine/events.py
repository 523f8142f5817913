"""Progress as plain values, drawn elsewhere (terminal, JSON log, RPC clients)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One thing that happened in a stage.

    Args:
        stage: the stage's name.
        done: units finished so far; 0 when the stage begins.
        total: units in all; 0 when that is not known.
        unit: what is counted, in the plural ("tracks", "steps", "graphs").
        message: for a human, one line.
        kind: "begin", "progress", "note", "warning", "cached", "done", "stopped" or
            "failed".
    """

    stage: str
    done: int
    total: int
    unit: str
    message: str = ""
    kind: str = "progress"


EventSink = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Draw nothing: the sink for tests and library use."""
