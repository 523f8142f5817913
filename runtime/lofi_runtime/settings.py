"""How a server is set up; the command line fills it in, tests too."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lofi_runtime.audio_format import AudioFormat, audio_format
from lofi_runtime.devices import AUTO
from lofi_runtime.errors import LofiError
from lofi_runtime.hub.repository import check_source
from lofi_runtime.library import BACKENDS, Preferences
from lofi_runtime.paths import default_socket, models_folder, tracks_folder
from lofi_runtime.worker import WORKER_COMMAND, Patience


def available_threads() -> int:
    """Return how many processor threads this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


UNIX, TCP, STDIO = "unix", "tcp", "stdio"
"""How clients come: by a unix socket, TCP on this machine, or as the process that started it."""

TRACKS_MAX_MB, TRACKS_MAX_COUNT = 2000.0, 1000
"""About three hours of sound, and more tracks than an editor cares to list."""


DEFAULT_SOURCE = "hf:willibrandon/lofi-models"
"""Where bundles come from when nobody says."""


@dataclass(frozen=True)
class Settings:
    """A server's settings.

    Args:
        socket: where it listens.
        tracks: the track store.
        tracks_max_mb: what was used longest ago is deleted when the store's sounds are larger.
        tracks_max_count: or more than so many.
        audio_format: of the tracks that are written: "wav", "flac" or "mp3".
        audio_bits: of a sample; None for what is usual, 16, or none in MP3.
        models: installed bundles.
        source: where bundles are pulled from, see `hub.repository.FORMS`.
        bundle: an explicit bundle used instead of those.
        backend: what a request without a name gets; None: ace_step if a bundle is there.
        threads: processor threads a model may use.
        device: what a model computes on, see `devices.DEVICES`.
        lora: the model that a request without a name gets; "": the first by name.
        precision: the variant such a request gets where it is installed and works; "auto": the
            fastest.
        patience: how long the server waits for the generating process.
        idle_exit_sec: end after so long without client and job; None: never.
        keeps_tracks_of_gone_clients: False cancels what only a client that left wanted.
        worker_command: how the generating process is started.
        transport: how clients come, one of `UNIX`, `TCP` and `STDIO`.
        tcp_port: for TCP; 0: any free one.
        log: the file that takes what happens; None: only what goes wrong, on stderr.
        log_prompts: whether the log may hold prompts and lyrics.
        audio_device: what tracks are played on: a device's name, "default", or "null" for none.
    """

    socket: Path = field(default_factory=default_socket)
    tracks: Path = field(default_factory=tracks_folder)
    tracks_max_mb: float = TRACKS_MAX_MB
    tracks_max_count: int = TRACKS_MAX_COUNT
    audio_format: str = "wav"
    audio_bits: int | None = None
    models: Path = field(default_factory=models_folder)
    source: str = DEFAULT_SOURCE
    bundle: Path | None = None
    backend: str | None = None
    threads: int = field(default_factory=available_threads)
    device: str = AUTO
    lora: str = ""
    precision: str = AUTO
    patience: Patience = field(default_factory=Patience)
    idle_exit_sec: float | None = None
    keeps_tracks_of_gone_clients: bool = False
    worker_command: tuple[str, ...] = WORKER_COMMAND
    transport: str = TCP if sys.platform == "win32" else UNIX
    tcp_port: int = 0
    log: Path | None = None
    log_prompts: bool = False
    audio_device: str = "default"

    @property
    def audio(self) -> AudioFormat:
        """The form of the tracks that are written.

        Raises:
            AudioWriteError: there is no such format, or none of so many bits.
        """
        return audio_format(self.audio_format, self.audio_bits)

    def check(self) -> None:
        """Refuse what could never serve, before anybody waits for it.

        Raises:
            LofiError: names the option, the value and what is allowed.
        """
        if self.backend not in (None, *BACKENDS):
            raise LofiError(f"--backend {self.backend}: not one of {', '.join(BACKENDS)}")
        for option, folder in (("bundle", self.bundle), ("models", self.models)):
            if folder is not None and folder.exists() and not folder.is_dir():
                raise LofiError(f"--{option} {folder}: not a folder")
        if self.bundle is not None and not self.bundle.exists():
            raise LofiError(f"--bundle {self.bundle}: there is no such folder")
        if self.tracks.exists() and not self.tracks.is_dir():
            raise LofiError(f"--tracks {self.tracks}: not a folder")
        check_source(self.source)

    @property
    def preferences(self) -> Preferences:
        """What a request without a name for it gets."""
        return Preferences(self.backend, self.lora, self.precision, self.device)
