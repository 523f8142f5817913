"""Makes one track in this process: load what generates, run it, check it, write the file.

The worker does this for the server, and `lofi-runtime generate` does it for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lofi_runtime.audio_format import WAV_16, AudioFormat
from lofi_runtime.backend import SAMPLE_RATE, Audio, Backend, Progress, Request
from lofi_runtime.errors import BackendError
from lofi_runtime.tracks import latents_part


@dataclass(frozen=True)
class Made:
    """What generation left besides the file.

    Args:
        duration_sec: of the sound.
        warnings: what a listener should know.
    """

    duration_sec: float
    warnings: tuple[str, ...]


def make_track(
    backend: Backend,
    request: Request,
    path: Path,
    license_name: str,
    progress: Progress,
    audio_format: AudioFormat = WAV_16,
) -> Made:
    """Generate, look for faults, and write a file; its latents, if any, at `latents_part`.

    Args:
        backend: loaded.
        request: within the backend's limits.
        path: of a store's part; written whole or not at all.
        license_name: the model's, for the file's tags.
        progress: see `backend.Progress`; also told the stage "write".
        audio_format: of the file.

    Raises:
        BackendError: the model failed, or what it made is not a sound of the asked length.
        AudioWriteError: the file cannot be written.
        GenerationCancelled: `progress` said so.
    """
    from lofi_runtime.audio_file import generated_tags, write_audio
    from lofi_runtime.faults import faults
    from lofi_runtime.latents_file import write_latents

    audio = backend.generate(request, progress)
    _check(audio, request, backend)
    progress("write", 0, 1)
    tags = generated_tags(
        model=backend.model_version, license=license_name or "unknown", title=request.prompt
    )
    name, bits = audio_format.name, audio_format.bits
    write_audio(path, audio.samples, format=name, bits=bits, tags=tags)
    if audio.latents is not None:
        write_latents(latents_part(path), audio.latents)
    samples = audio.samples.shape[1]
    return Made(samples / SAMPLE_RATE, audio.warnings + faults(audio.samples))


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
