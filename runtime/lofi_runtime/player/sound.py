"""A track's file, decoded block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from lofi_runtime.errors import LofiError
from lofi_runtime.player.names import SAMPLE_RATE

CHANNELS = 2

Frames = npt.NDArray[np.float32]
"""(frames, 2) at 48 kHz."""


class SoundError(LofiError):
    """A track's file cannot be opened or decoded."""


class Sound:
    """An open WAV, FLAC or MP3 file of 48 kHz; holds one block in memory, never the whole.

    Args:
        path: the file.
        position: the first frame to read.

    Raises:
        SoundError: it is missing, damaged, or of another sample rate or number of channels.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path = path
        try:
            self._file = soundfile.SoundFile(path)
        except (OSError, soundfile.SoundFileError) as error:
            raise self._error(error) from error
        rate, channels = self._file.samplerate, self._file.channels
        if rate != SAMPLE_RATE or channels > CHANNELS:
            self.close()
            raise SoundError(
                f"{path}: {rate} Hz with {channels} channels, must be {SAMPLE_RATE} Hz with 1 or 2"
            )
        self.frames: int = self._file.frames
        self.position = 0
        if position:
            self.seek(min(position, self.frames))

    @property
    def left(self) -> int:
        """How many frames are still to be read."""
        return self.frames - self.position

    def read(self, frames: int) -> Frames:
        """Read on, (frames, 2); fewer at the end, or when the file is shorter than it says.

        Raises:
            SoundError: it cannot be decoded.
        """
        try:
            block = self._file.read(frames, dtype="float32", always_2d=True)
        except (OSError, soundfile.SoundFileError) as error:
            raise self._error(error) from error
        self.position += len(block)
        if len(block) < frames:
            self.frames = self.position
        return np.repeat(block, CHANNELS, axis=1) if block.shape[1] == 1 else block

    def seek(self, position: int) -> None:
        """Read on from another frame.

        Raises:
            SoundError: it cannot be decoded.
        """
        try:
            self._file.seek(position)
        except (OSError, soundfile.SoundFileError) as error:
            raise self._error(error) from error
        self.position = position

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._file.close()

    def _error(self, error: Exception) -> SoundError:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        return SoundError(
            f"{self._path}: cannot be played ({str(reason).rstrip('.')})",
            hint="generate the track again",
        )
