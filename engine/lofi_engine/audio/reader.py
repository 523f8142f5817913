"""What reads a container, one block at a time; `decode` asks no more of it than this."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LOSSLESS = ("PCM_", "ALAC_", "FLOAT", "DOUBLE", "DWVW_")
"""How the subtypes begin that lose nothing."""


class DecodeError(StageError):
    """A file is not audio that can be decoded in full; the message is the reason alone."""


class Reader(Protocol):
    """An opened file.

    Attributes:
        sample_rate: in Hz.
        channels: how many.
        format: the container, e.g. "FLAC".
        subtype: the coding, e.g. "PCM_16", "MPEG_LAYER_III", "AAC".
        layout: the channels' places (L R C LFE Ls Rs Lb Rb Cs) where the container names them.
        frames: how many samples a channel the header promises, None where it does not say.
    """

    sample_rate: int
    channels: int
    format: str
    subtype: str
    layout: tuple[str, ...]
    frames: int | None

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Decode from the start: (samples, channels) at a time.

        Raises:
            DecodeError: damaged; it says after how many seconds.
        """

    def check_whole(self, frames: int) -> None:
        """Compare what was decoded with what the header promised.

        Raises:
            DecodeError: the file was cut short.
        """


@contextlib.contextmanager
def open_reader(path: Path) -> Iterator[Reader]:
    """Open a file by what is in it, whatever its name says.

    Raises:
        DecodeError: nothing in it is audio that can be read here.
    """
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        from lofi_engine.audio.m4a import open_m4a

        with open_m4a(path) as reader:
            yield reader
    else:
        from lofi_engine.audio.sndfile import open_sndfile

        with open_sndfile(path) as reader:
            yield reader


def cut_short(frames: int, promised: int, sample_rate: int) -> DecodeError:
    """Say how much of a file is there."""
    return DecodeError(
        f"cut short: {frames / sample_rate:.1f} of {promised / sample_rate:.1f} s decode"
    )
