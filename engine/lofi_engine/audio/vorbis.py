"""Writes Ogg Vorbis with tags: what a page plays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BLOCK_FRAMES = 8192


def write_vorbis(
    path: Path,
    samples: npt.NDArray[np.float32],
    sample_rate: int,
    tags: Mapping[str, str],
    compression_level: float,
) -> None:
    """Write a sound.

    Args:
        path: replaced where it is there; whoever wants it whole or not at all writes aside.
        samples: float32 (channels, samples).
        sample_rate: in Hz.
        tags: by libsndfile's names.
        compression_level: 0 is the best quality, 1 the smallest file.

    Raises:
        OSError: it cannot be written.
    """
    import soundfile

    try:
        with soundfile.SoundFile(
            path, "w", sample_rate, samples.shape[0],
            format="OGG", subtype="VORBIS", compression_level=compression_level,
        ) as file:  # fmt: skip
            for name, text in tags.items():
                setattr(file, name, text)
            # libsndfile's encoder crashes on long blocks.
            for start in range(0, samples.shape[1], _BLOCK_FRAMES):
                file.write(samples[:, start : start + _BLOCK_FRAMES].T)
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path.name}: {error.error_string}") from error
