"""A track's latents on disk: what an edit of it starts from, as no bundle can encode sound."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lofi_runtime.errors import AudioWriteError, BackendError

Floats = npt.NDArray[np.float32]

_AGAIN = "make the source again, or edit another track"


def write_latents(path: Path, latents: Floats) -> None:
    """Write latents as a NumPy file of float32; half a file may be left behind.

    Raises:
        AudioWriteError: it cannot be written.
    """
    try:
        with path.open("wb") as stream:
            np.save(stream, latents.astype(np.float32, copy=False), allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise AudioWriteError(
            f"{path}: cannot be written ({error.strerror or error})",
            hint="free some space or choose another folder",
        ) from error


def read_latents(path: Path, shape: tuple[int, ...]) -> Floats:
    """Read what `write_latents` wrote.

    Args:
        path: the file.
        shape: what the model needs, (1, channels, height, frames).

    Raises:
        BackendError: the file is missing, is none, or holds another shape or no numbers.
    """
    try:
        latents = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise BackendError(
            f"{path}: the source's latents are gone, it was deleted", hint=_AGAIN
        ) from error
    except (OSError, ValueError, EOFError) as error:
        raise BackendError(f"{path}: no latents ({error})", hint=_AGAIN) from error
    if not isinstance(latents, np.ndarray) or latents.shape != shape:
        found = getattr(latents, "shape", "no array")
        raise BackendError(f"{path}: latents of shape {found}, must be {shape}", hint=_AGAIN)
    if latents.dtype != np.float32 or not np.isfinite(latents).all():
        raise BackendError(f"{path}: latents that are not finite float32 numbers", hint=_AGAIN)
    return latents
