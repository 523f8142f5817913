"""Reads m4a (AAC or Apple Lossless in an MP4 container) through PyAV, which is an extra.

libsndfile does not read it. The demuxer is named, so that a file can be nothing else, and reads
from an open file, so that no name in it is followed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.audio.reader import LOSSLESS, DecodeError, cut_short

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EXTRA = "lofi-recipe[m4a]"

# FFmpeg's names of places, by ours.
_PLACES = {"FL": "L", "FR": "R", "FC": "C", "LFE": "LFE", "SL": "Ls", "SR": "Rs"}
_PLACES |= {"BL": "Lb", "BR": "Rb", "BC": "Cs"}


class M4aReader:
    """A file that PyAV has opened; see `lofi_engine.audio.reader.Reader`."""

    format = "M4A"

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        codec = stream.codec_context
        self.sample_rate: int = codec.sample_rate
        self.channels: int = codec.channels
        self.subtype: str = _subtype(codec)
        places = tuple(_PLACES.get(channel.name, "") for channel in codec.layout.channels)
        self.layout: tuple[str, ...] = places if all(places) else ()
        seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
        self.frames: int | None = round(seconds * self.sample_rate) or None

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Decode from the start."""
        import av

        planar = av.AudioResampler(format="fltp")  # only the samples' type: rate and layout stay
        frames = 0
        try:
            for frame in self._container.decode(self._stream):
                for converted in planar.resample(frame):
                    block: Any = converted.to_ndarray().T
                    frames += len(block)
                    yield block
        except av.FFmpegError as error:
            at_sec = frames / self.sample_rate
            raise DecodeError(
                f"corrupt: decoding stops after {at_sec:.1f} s ({_words(error)})"
            ) from error

    def check_whole(self, frames: int) -> None:
        """Compare what was decoded with the container's index."""
        lossless = self.subtype.startswith(LOSSLESS)
        slack = 0 if lossless else 0.1 * self.sample_rate + 0.02 * frames
        if self.frames is not None and frames + slack < self.frames:
            raise cut_short(frames, self.frames, self.sample_rate)


@contextlib.contextmanager
def open_m4a(path: Path) -> Iterator[M4aReader]:
    """Open an MP4 container and its first audio track.

    Raises:
        DecodeError: PyAV is not installed, or there is no audio in it that can be read.
    """
    try:
        import av
    except ImportError as error:
        raise DecodeError(f"m4a needs an extra: pip install '{EXTRA}'") from error
    with path.open("rb") as file, contextlib.ExitStack() as stack:
        try:
            # Damage is told, not concealed.
            options = {"err_detect": "explode"}
            container = stack.enter_context(av.open(file, format="mp4", options=options))
        except av.FFmpegError as error:
            raise DecodeError(f"no audio can be decoded from it ({_words(error)})") from error
        if not container.streams.audio:
            raise DecodeError("no audio can be decoded from it (no audio track in it)")
        yield M4aReader(container, container.streams.audio[0])


def _subtype(codec: Any) -> str:
    name = str(codec.name).upper()
    return f"ALAC_{codec.format.bits if codec.format else 16}" if name == "ALAC" else name


def _words(error: Any) -> str:
    # Only the words: the full message names the file object.
    text = str(error.strerror or "unknown error").strip()
    return text[:1].lower() + text[1:]
