"""How much sound a file may decode to, so that one outlandish file cannot eat the memory."""

from __future__ import annotations

from pathlib import Path

from lofi_engine.audio.reader import DecodeError, open_reader

MAX_FILE_SAMPLES = 2**31
"""Samples (frames x channels) in a whole file: six hours of stereo at 48 kHz. All of it is decoded
to know that it is sound."""

MAX_KEPT_SAMPLES = 2**29
"""Samples kept of a file, up to `max_duration_sec`: 2 GiB as float32, 93 minutes of stereo at
48 kHz. A few times that is held while it is converted."""


def size_fault(path: Path, keep_sec: float) -> str:
    """Say why a file would decode to too much, by its header; "" where it would not.

    A header that says too little costs no memory: decoding keeps `keep_sec` at most, whatever
    comes. What cannot be opened is left for the decoder to refuse.

    Args:
        path: a file.
        keep_sec: how much of it is kept.
    """
    try:
        with open_reader(path) as reader:
            rate, channels, frames = reader.sample_rate, reader.channels, reader.frames
    except (DecodeError, OSError):
        return ""
    if frames is not None and frames * channels > MAX_FILE_SAMPLES:
        hours = frames / rate / 3600
        return (
            f"too long: {hours:.1f} h of {channels} channels at {rate} Hz are {frames * channels} "
            f"samples, at most {MAX_FILE_SAMPLES} are decoded"
        )
    kept = round(keep_sec * rate) if frames is None else min(frames, round(keep_sec * rate))
    if kept * channels > MAX_KEPT_SAMPLES:
        return (
            f"too large: {channels} channels at {rate} Hz for {kept / rate:.0f} s are "
            f"{kept * channels} samples, at most {MAX_KEPT_SAMPLES} are kept"
        )
    return ""
