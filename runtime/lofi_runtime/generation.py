"""Makes one track in this process: load what generates, run it, check it, write the file.

The worker does this for the server, and `lofi-runtime generate` does it for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lofi_runtime.backend import SAMPLE_RATE, Audio, Backend, Progress, Request
from lofi_runtime.backends import FACTORIES, BackendChoice, Factory
from lofi_runtime.errors import BackendError


@dataclass(frozen=True)
class Made:
    """What generation left besides the file.

    Args:
        duration_sec: of the sound.
        warnings: what a listener should know.
    """

    duration_sec: float
    warnings: tuple[str, ...]


class Studio:
    """Keeps what was loaded for the next track: of each type the one used last.

    Args:
        factories: how to make a backend, by its type.
    """

    def __init__(self, factories: Mapping[str, Factory] = FACTORIES) -> None:
        self._factories = factories
        self._loaded: dict[str, tuple[BackendChoice, Backend]] = {}

    def load(self, choice: BackendChoice, progress: Progress) -> Backend:
        """Return the backend, from before or newly made.

        Raises:
            BackendError: its type is unknown, or it cannot be loaded.
            BundleError: its folder is missing or damaged.
            GenerationCancelled: `progress` said so.
        """
        if choice.type in self._loaded:
            known, backend = self._loaded[choice.type]
            if known == choice:
                return backend
            # Dropped before the next one is loaded: two models may not fit into memory.
            del self._loaded[choice.type], backend
        if choice.type not in self._factories:
            raise BackendError(
                f"backend {choice.type!r} is not one of {', '.join(self._factories)}"
            )
        backend = self._factories[choice.type](choice, progress)
        self._loaded[choice.type] = choice, backend
        return backend


def make_track(
    backend: Backend, request: Request, path: Path, license_name: str, progress: Progress
) -> Made:
    """Generate and write a WAV file of 16 bits.

    Args:
        backend: loaded.
        request: within the backend's limits.
        path: written whole or not at all.
        license_name: the model's, for the file's tags.
        progress: see `backend.Progress`; also told the stage "write".

    Raises:
        BackendError: the model failed, or what it made is not a sound of the asked length.
        AudioWriteError: the file cannot be written.
        GenerationCancelled: `progress` said so.
    """
    from lofi_runtime.audio_file import generated_tags, write_audio

    audio = backend.generate(request, progress)
    _check(audio, request, backend)
    progress("write", 0, 1)
    tags = generated_tags(
        model=backend.model_version, license=license_name or "unknown", title=request.prompt
    )
    write_audio(path, audio.samples, format="wav", bits=16, tags=tags)
    samples = audio.samples.shape[1]
    return Made(samples / SAMPLE_RATE, audio.warnings)


def _check(audio: Audio, request: Request, backend: Backend) -> None:
    """Refuse what would play as noise or silence without a word."""
    import numpy as np

    wanted = (2, request.duration_sec * SAMPLE_RATE)
    if audio.samples.shape != wanted:
        raise BackendError(
            f"backend {backend.type!r} made samples of shape {audio.samples.shape}, not {wanted}"
        )
    if not np.isfinite(audio.samples).all():
        raise BackendError(
            f"backend {backend.type!r} made samples that are not numbers",
            hint="try another seed, or verify the model",
        )
