"""How a server is set up; the command line fills it in, tests too."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lofi_runtime.paths import default_socket, models_folder, tracks_folder
from lofi_runtime.worker import WORKER_COMMAND


def available_threads() -> int:
    """Return how many processor threads this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


TRACKS_MAX_MB, TRACKS_MAX_COUNT = 2000.0, 1000
"""About three hours of sound, and more tracks than an editor cares to list."""


@dataclass(frozen=True)
class Settings:
    """A server's settings.

    Args:
        socket: where it listens.
        tracks: the track store.
        tracks_max_mb: what was used longest ago is deleted when the store's sounds are larger.
        tracks_max_count: or more than so many.
        models: installed bundles.
        bundle: an explicit bundle used instead of those.
        backend: what a request without a name gets; None: ace_step if a bundle is there.
        threads: processor threads a model may use.
        idle_exit_sec: end after so long without client and job; None: never.
        keeps_tracks_of_gone_clients: False cancels what only a client that left wanted.
        worker_command: how the generating process is started.
    """

    socket: Path = field(default_factory=default_socket)
    tracks: Path = field(default_factory=tracks_folder)
    tracks_max_mb: float = TRACKS_MAX_MB
    tracks_max_count: int = TRACKS_MAX_COUNT
    models: Path = field(default_factory=models_folder)
    bundle: Path | None = None
    backend: str | None = None
    threads: int = field(default_factory=available_threads)
    idle_exit_sec: float | None = None
    keeps_tracks_of_gone_clients: bool = False
    worker_command: tuple[str, ...] = WORKER_COMMAND
