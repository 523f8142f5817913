"""Decodes an audio file in full: the one test of soundness everything else trusts.

A header is never believed: what counts is what decodes. Decoders are C code fed with strangers'
files, so whoever decodes many of them does so in a child process (`lofi_engine.data.workers`).
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.audio.overview import Overview
from lofi_engine.audio.reader import LOSSLESS, Reader, open_reader
from lofi_engine.audio.reader import DecodeError as DecodeError
from lofi_engine.audio.window import LevelMeter

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".m4a", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc"),
    *(".caf", ".w64", ".rf64", ".au"),
)
"""File names that are opened as audio. m4a needs the extra of that name."""

SAMPLE_RATES = (8_000, 384_000)
MAX_CHANNELS = 16
_ROOM = 2**28


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Args:
        samples: float32 (channels, samples), at most as long as was asked for.
        sample_rate: of the file.
        duration_sec: of the whole file, kept or not.
        format: the container, e.g. "FLAC".
        subtype: the coding, e.g. "PCM_16", "MPEG_LAYER_III", "AAC".
        layout: the channels' places where the container names them, see `convert.fold`.
        start_sec: where in the file the samples begin.
        overview: (1, samples) of the whole file at `fingerprint.ANALYSIS_RATE`, where that
            was asked for and only a part of the file was kept.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    duration_sec: float
    format: str
    subtype: str
    layout: tuple[str, ...] = ()
    start_sec: float = 0.0
    overview: npt.NDArray[np.float32] | None = None

    @property
    def channels(self) -> int:
        """How many channels the file has."""
        return int(self.samples.shape[0])

    @property
    def lossy(self) -> bool:
        """Whether the coding loses anything."""
        return not self.subtype.startswith(LOSSLESS)


def decode(
    path: Path, *, keep_sec: float | None = None, window: str = "start", overview: bool = False
) -> Decoded:
    """Decode a whole file and keep a part of it.

    Args:
        path: the file; a link to a file is followed.
        keep_sec: how much to keep; the rest is decoded, checked and dropped. None keeps all.
        window: "start" keeps the beginning of a longer file; "best" its loudest steady stretch
            (`LevelMeter.best_start`), for which it is decoded twice.
        overview: whether to keep all of a longer file in little, see `Decoded.overview`.

    Returns:
        The samples as they are in the file: no gain, no resampling.

    Raises:
        DecodeError: not a file, empty, not audio, damaged, cut short, or holding NaN.
    """
    check_file(path)
    with open_reader(path) as reader:
        _check_header(reader)
        meter = LevelMeter(reader.sample_rate) if window == "best" and keep_sec else None
        keep = None if keep_sec is None else round(keep_sec * reader.sample_rate)
        longer = keep is not None and (reader.frames is None or reader.frames > keep)
        whole = Overview(reader.sample_rate) if overview and longer else None
        samples, frames = _read(reader, 0, keep, meter, whole)
        reader.check_whole(frames)
    start = 0
    if meter is not None and keep_sec is not None and keep is not None and frames > keep:
        start = min(round(meter.best_start(keep_sec) * reader.sample_rate), frames - keep)
    if start:
        del samples  # two of them would be held otherwise
        with open_reader(path) as reader:
            samples, _ = _read(reader, start, keep)
    return Decoded(
        samples=samples,
        sample_rate=reader.sample_rate,
        duration_sec=frames / reader.sample_rate,
        format=reader.format,
        subtype=reader.subtype,
        layout=reader.layout,
        start_sec=start / reader.sample_rate,
        overview=whole.samples() if whole and keep is not None and frames > keep else None,
    )


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


def _check_header(reader: Reader) -> None:
    lowest, highest = SAMPLE_RATES
    if not lowest <= reader.sample_rate <= highest:
        raise DecodeError(
            f"sample rate {reader.sample_rate} Hz, from {lowest} to {highest} can be used"
        )
    if not 1 <= reader.channels <= MAX_CHANNELS:
        raise DecodeError(f"{reader.channels} channels, at most {MAX_CHANNELS} can be used")


def _read(
    reader: Reader, start: int, keep: int | None, *listeners: LevelMeter | Overview | None
) -> tuple[npt.NDArray[np.float32], int]:
    """Decode all, keep (channels, samples) from `start`; give them and how many there were.

    Listeners take every block.
    """
    kept = _Kept(reader.channels, keep, reader.frames)
    frames = 0
    for block in reader.blocks():
        if not _all_finite(block):
            raise DecodeError("holds NaN or infinite samples")
        for listener in listeners:
            if listener is not None:
                listener.take(block)
        first = max(0, start - frames)
        last = len(block) if keep is None else min(len(block), start + keep - frames)
        if first < last:
            kept.add(block[first:last])
        frames += len(block)
    if not kept.count:
        raise DecodeError("no audio in it: 0 samples decode")
    return kept.samples[:, : kept.count], frames


class _Kept:
    """What is kept, planar, in place at once where the header told how much there will be."""

    def __init__(self, channels: int, keep: int | None, promised: int | None) -> None:
        import numpy as np

        # A header may lie: that much room, which costs nothing until it is used, and no more.
        room = min([_ROOM // channels, *(size for size in (keep, promised) if size is not None)])
        self.samples = np.empty((channels, max(1, room)), np.float32)
        self.count = 0

    def add(self, block: npt.NDArray[np.float32]) -> None:
        import numpy as np

        end = self.count + len(block)
        if end > self.samples.shape[1]:
            longer = np.empty((len(self.samples), max(end, 2 * self.count)), np.float32)
            longer[:, : self.count] = self.samples[:, : self.count]
            self.samples = longer
        self.samples[:, self.count : end] = block.T
        self.count = end


def _all_finite(block: npt.NDArray[np.float32]) -> bool:
    import numpy as np

    # A sum is finite only where all are, or where it overflows; it is made sooner than each asked.
    with np.errstate(all="ignore"):
        return bool(np.isfinite(block.sum()) or np.isfinite(block).all())
