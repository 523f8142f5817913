"""Decodes an audio file in full: the one test of soundness everything else trusts.

Formats are libsndfile's: WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, CAF and kin; no ffmpeg. A header
is never believed: what counts is what decodes. libsndfile is C code fed with strangers' files, so
whoever decodes many of them does so in a child process (`lofi_engine.data.workers`).
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc"),
    *(".caf", ".w64", ".rf64", ".au"),
)
"""File names that are opened as audio."""

SAMPLE_RATES = (8_000, 384_000)
MAX_CHANNELS = 16
_BLOCK_FRAMES = 65_536
_LOSSLESS = ("PCM_", "ALAC_", "FLOAT", "DOUBLE", "DWVW_")
# The formats whose decoder drops what was cut off without a word; libsndfile's log tells.
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND)\s*:\s*(\d+)\s*\(should be\s*(\d+)\)", re.MULTILINE)
_UNKNOWN_SIZE = 0x7FFF0000  # a stream's header says 0 or about 2**31 or 2**32: it never knew


class DecodeError(StageError):
    """A file is not audio that can be decoded in full; the message is the reason alone."""


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Args:
        samples: float32 (channels, samples), at most as long as was asked for.
        sample_rate: of the file.
        duration_sec: of the whole file, kept or not.
        format: libsndfile's name, e.g. "FLAC".
        subtype: libsndfile's name, e.g. "PCM_16", "MPEG_LAYER_III".
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    duration_sec: float
    format: str
    subtype: str

    @property
    def channels(self) -> int:
        """How many channels the file has."""
        return int(self.samples.shape[0])

    @property
    def lossy(self) -> bool:
        """Whether the coding loses anything."""
        return not self.subtype.startswith(_LOSSLESS)


def decode(path: Path, *, keep_sec: float | None = None) -> Decoded:
    """Decode a whole file and keep its beginning.

    Args:
        path: the file; a link to a file is followed.
        keep_sec: how much to keep; the rest is decoded, checked and dropped. None keeps all.

    Returns:
        The samples as they are in the file: no gain, no resampling.

    Raises:
        DecodeError: not a file, empty, not audio, damaged, cut short, or holding NaN.
    """
    import soundfile

    check_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            _check_header(file)
            samples, frames = _read(file, keep_sec)
            _check_whole(file, frames)
            return Decoded(
                samples=samples,
                sample_rate=file.samplerate,
                duration_sec=frames / file.samplerate,
                format=file.format,
                subtype=file.subtype,
            )
    except soundfile.LibsndfileError as error:
        # Only the code's own text: the full message names the path.
        raise DecodeError(f"no audio can be decoded from it ({_words(error)})") from error


def check_file(path: Path) -> None:
    """Check that something can be opened and is a file with bytes, without decoding it.

    Raises:
        DecodeError: it cannot, or is not.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError("not a regular file")
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror or type(error).__name__}") from error
    if not head:
        raise DecodeError("empty file")


def _check_header(file: Any) -> None:
    lowest, highest = SAMPLE_RATES
    if not lowest <= file.samplerate <= highest:
        raise DecodeError(
            f"sample rate {file.samplerate} Hz, from {lowest} to {highest} can be used"
        )
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise DecodeError(f"{file.channels} channels, at most {MAX_CHANNELS} can be used")


def _read(file: Any, keep_sec: float | None) -> tuple[npt.NDArray[np.float32], int]:
    import numpy as np
    import soundfile

    keep = None if keep_sec is None else round(keep_sec * file.samplerate)
    blocks: list[npt.NDArray[np.float32]] = []
    frames = 0
    while True:
        try:
            block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            at_sec = frames / file.samplerate
            raise DecodeError(
                f"corrupt: decoding stops after {at_sec:.1f} s ({_words(error)})"
            ) from error
        if not len(block):
            break
        if not np.isfinite(block).all():
            raise DecodeError("holds NaN or infinite samples")
        wanted = len(block) if keep is None else max(0, keep - frames)
        if wanted:
            blocks.append(block[:wanted])
        frames += len(block)
    if not blocks:
        raise DecodeError("no audio in it: 0 samples decode")
    return np.ascontiguousarray(np.concatenate(blocks).T), frames


def _check_whole(file: Any, frames: int) -> None:
    cut = _CUT_SHORT.search(file.extra_info)
    if cut is not None:
        promised, there = int(cut.group(1)), int(cut.group(2))
        if there < promised < _UNKNOWN_SIZE:
            raise DecodeError(f"cut short: {100 * there / promised:.0f} % of its samples are there")
    # A lossy file's length is the decoder's count of its frames, good to a few of them.
    slack = 0 if file.subtype.startswith(_LOSSLESS) else 0.1 * file.samplerate + 0.02 * frames
    if frames + slack < file.frames < _UNKNOWN_SIZE:
        raise DecodeError(
            f"cut short: {frames / file.samplerate:.1f} of {file.frames / file.samplerate:.1f} s"
            " decode"
        )


def _words(error: Any) -> str:
    # "File does not exist or is not a regular file (possibly a pipe?)" is libsndfile's answer to
    # any .mp3 without MPEG frames.
    text = str(error.error_string).strip().rstrip(".").removeprefix("Error : ")
    if "possibly a pipe" in text or "System error" in text:
        return "nothing in it is audio"
    return text[:1].lower() + text[1:] if text else "unknown error"
