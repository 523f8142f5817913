"""What a stage is: a module with these five names, given a context, leaving an `Outcome`.

A stage works in `context.work`, which is empty when it begins and becomes the artifact when it
returns; whatever it raises, nothing half-made is kept. It never imports another stage and never
knows the order: it reads its inputs' folders by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lofi_engine.events import Event, EventSink
from lofi_engine.recipe.model import Recipe

PROGRESS = ".progress-"
"""How the names begin of the folders where a run keeps a stage's progress, one a key."""


@dataclass(frozen=True)
class StageContext:
    """Where a stage works and what it is given.

    Args:
        stage: the stage's name.
        work: an empty folder to fill; it becomes the artifact's folder.
        progress: the stage's own progress; survives a kill and is removed once the stage is
            finished. Only whole units go in (write aside, then rename). May not exist yet.
        inputs: the finished folder of each input stage, by name.
        home: the folder the recipe lies in; relative paths in a recipe start here.
        seed: the recipe's seed mixed with the stage's name, below 2**63.
        sink: takes progress events.
        workers: processes a stage may use; 0 takes one a core. Shapes no result, so no key.
        threads: torch threads; 0 leaves torch's choice. See `lofi_engine.threads`.
    """

    stage: str
    work: Path
    progress: Path
    inputs: Mapping[str, Path]
    home: Path
    seed: int
    sink: EventSink
    workers: int = 0
    threads: int = 0

    def emit(self, done: int, total: int, unit: str, message: str = "") -> None:
        """Report progress: `done` of `total` units (plural noun), with a line for a human."""
        self.sink(Event(self.stage, done, total, unit, message))

    def note(self, message: str) -> None:
        """Report something worth knowing that nobody need act on."""
        self.sink(Event(self.stage, 0, 0, "", message, kind="note"))

    def warn(self, message: str) -> None:
        """Report something the user should know that does not stop the stage."""
        self.sink(Event(self.stage, 0, 0, "", message, kind="warning"))


@dataclass(frozen=True)
class Outcome:
    """What a stage reports besides its files.

    Args:
        facts: reproducible figures (counts, errors, sizes); hashed with the files.
        measured: times, memory and the like; recorded, never hashed.
        measured_files: files in `work`, as posix paths relative to it, that hold such figures and
            are therefore not hashed. A JSON file may instead keep them under one top-level
            "measured" key, which is left out of its hash.
        outside: files the stage wrote outside `work`: by posix path relative to the recipe's
            folder, their `hashing.content_hash`, or "" for one that must only be there. When one
            is gone or says something else the stage must run again.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    measured_files: frozenset[str] = frozenset()
    outside: Mapping[str, str] = field(default_factory=dict)


class Stage(Protocol):
    """A module of `lofi_engine.stages`: importing it is cheap, heavy imports stay inside `run`."""

    VERSION: int
    """Raised by one whenever the same settings and inputs would leave something else."""

    settings: Callable[[Recipe], Any]
    """Take from a recipe what shapes this stage, as a frozen dataclass of JSON-able values."""

    sources: Callable[[Recipe], tuple[Path, ...]]
    """Files and folders on disk, besides other stages, whose content shapes this stage."""

    run: Callable[[StageContext, Any], Outcome]
    """Do the work. Raises StageError for what a user can mend."""
