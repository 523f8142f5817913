"""The bitrate a lossy file really has."""

from __future__ import annotations

import struct
from pathlib import Path

# mutagen raises its own error on files it does not know and these on files that lie; the decode
# has already said whether the file is sound, so none of them means more than "no answer".
_JUNK = (
    *(ValueError, OSError, EOFError, LookupError, AttributeError, TypeError),
    *(ArithmeticError, AssertionError, struct.error, RecursionError),
)


def bitrate_kbps(path: Path, duration_sec: float) -> int:
    """Give the bitrate in kbit/s: what the headers say, bounded by what the file's size allows.

    A header can promise 320 in a file of 112; its bytes cannot. Cover art makes the bound looser,
    never tighter.

    Args:
        path: a file that decodes.
        duration_sec: how long it decodes.
    """
    by_size = path.stat().st_size * 8 / 1000 / duration_sec
    by_header = _header_kbps(path)
    return round(min(by_size, by_header) if by_header else by_size)


def _header_kbps(path: Path) -> float:
    import mutagen

    try:
        file = mutagen.File(path)
    except (mutagen.MutagenError, *_JUNK):
        return 0.0
    bitrate = getattr(getattr(file, "info", None), "bitrate", 0)
    return bitrate / 1000 if isinstance(bitrate, int | float) else 0.0
