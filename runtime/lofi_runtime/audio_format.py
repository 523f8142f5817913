"""Which files a track may become; light, so that a server can say it without loading sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_runtime.errors import AudioWriteError

FORMATS = ("wav", "flac", "mp3")
"""What the names of written tracks end in."""
BITS = {"wav": (16, 24, 32), "flac": (16, 24), "mp3": (None,)}
"""How many bits a sample may have, the usual first; 32 are floating point, MP3 has none."""


@dataclass(frozen=True)
class AudioFormat:
    """A file's form. It shapes no sound, so it is no part of a track's id.

    Args:
        name: one of `FORMATS`.
        bits: of a sample; None for MP3, which is 320 kbit/s throughout.

    Raises:
        AudioWriteError: there is no such format, or it has no samples of so many bits.
    """

    name: str = "wav"
    bits: int | None = 16

    def __post_init__(self) -> None:
        if self.name not in FORMATS:
            raise AudioWriteError(f"audio format {self.name!r} is not one of {', '.join(FORMATS)}")
        if self.bits not in BITS[self.name]:
            allowed = " or ".join(str(bits) for bits in BITS[self.name] if bits is not None)
            raise AudioWriteError(
                f"audio bits: {self.bits} is not what {self.name} has: {allowed or 'none at all'}"
            )

    def describe(self) -> str:
        """Name it for people."""
        return self.name if self.bits is None else f"{self.name} of {self.bits} bits"

    def to_record(self) -> dict[str, Any]:
        """Return what a sidecar says of it."""
        bits = {} if self.bits is None else {"audio_bits": self.bits}
        return {"audio_format": self.name, **bits}


WAV_16 = AudioFormat()
"""What tracks are written as unless a setting says otherwise."""


def audio_format(name: str = "wav", bits: int | None = None) -> AudioFormat:
    """Make a format; bits left out are the usual ones.

    Raises:
        AudioWriteError: see `AudioFormat`.
    """
    return AudioFormat(name, BITS[name][0] if bits is None and name in BITS else bits)


def format_of(path: Path) -> str | None:
    """Tell the format that a file's name ends in, in any case; None for another ending."""
    ending = path.suffix.lower().removeprefix(".")
    return ending if ending in FORMATS else None
