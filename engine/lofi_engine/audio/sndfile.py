"""Reads what libsndfile reads: WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, CAF and kin; no ffmpeg."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.audio.reader import LOSSLESS, DecodeError, cut_short

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BLOCK_FRAMES = 65_536
# The formats whose decoder drops what was cut off without a word; libsndfile's log tells.
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND)\s*:\s*(\d+)\s*\(should be\s*(\d+)\)", re.MULTILINE)
_UNKNOWN_SIZE = 0x7FFF0000  # a stream's header says 0 or about 2**31 or 2**32: it never knew
_UNKNOWN_FRAMES = 2**62  # a FLAC stream whose header does not say


class SndfileReader:
    """A file that libsndfile has opened; see `lofi_engine.audio.reader.Reader`."""

    layout: tuple[str, ...] = ()

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sample_rate: int = file.samplerate
        self.channels: int = file.channels
        self.format: str = file.format
        self.subtype: str = file.subtype
        self.frames: int | None = file.frames if file.frames < _UNKNOWN_FRAMES else None

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Decode from where the file stands."""
        import soundfile

        frames = 0
        while True:
            try:
                block = self._file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                at_sec = frames / self.sample_rate
                raise DecodeError(
                    f"corrupt: decoding stops after {at_sec:.1f} s ({_words(error)})"
                ) from error
            if not len(block):
                return
            frames += len(block)
            yield block

    def check_whole(self, frames: int) -> None:
        """Compare what was decoded with the header and with libsndfile's log."""
        cut = _CUT_SHORT.search(self._file.extra_info)
        if cut is not None:
            promised, there = int(cut.group(1)), int(cut.group(2))
            if there < promised < _UNKNOWN_SIZE:
                raise DecodeError(
                    f"cut short: {100 * there / promised:.0f} % of its samples are there"
                )
        # A lossy file's length is the decoder's count of its frames, good to a few of them.
        lossless = self.subtype.startswith(LOSSLESS)
        slack = 0 if lossless else 0.1 * self.sample_rate + 0.02 * frames
        if frames + slack < self._file.frames < _UNKNOWN_SIZE:
            raise cut_short(frames, self._file.frames, self.sample_rate)


@contextlib.contextmanager
def open_sndfile(path: Path) -> Iterator[SndfileReader]:
    """Open a file with libsndfile.

    Raises:
        DecodeError: it finds no audio in it.
    """
    import soundfile

    try:
        # In bytes: a name need not be UTF-8, and soundfile encodes text strictly.
        file = soundfile.SoundFile(os.fsencode(path))
    except soundfile.LibsndfileError as error:
        # Only the code's own text: the full message names the path.
        raise DecodeError(f"no audio can be decoded from it ({_words(error)})") from error
    with file:
        yield SndfileReader(file)


def _words(error: Any) -> str:
    # "File does not exist or is not a regular file (possibly a pipe?)" is libsndfile's answer to
    # any .mp3 without MPEG frames.
    text = str(error.error_string).strip().rstrip(".").removeprefix("Error : ")
    if "possibly a pipe" in text or "System error" in text:
        return "nothing in it is audio"
    return text[:1].lower() + text[1:] if text else "unknown error"
