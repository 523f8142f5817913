"""Writes finished tracks: complete or not at all, and always marked as AI-generated inside."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lofi_runtime.atomic import replacing
from lofi_runtime.audio_format import AudioFormat
from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.errors import AudioWriteError
from lofi_runtime.id3 import with_id3
from lofi_runtime.version import VERSION

MARK = "AI-generated"
"""How the comment of every written track begins."""

SUBTYPES = {
    ("wav", 16): "PCM_16",
    ("wav", 24): "PCM_24",
    ("wav", 32): "FLOAT",
    ("flac", 16): "PCM_16",
    ("flac", 24): "PCM_24",
    ("mp3", None): "MPEG_LAYER_III",
}
"""What can be written, by format and bits; 32 bits are floating point."""
_BLOCK = 1 << 16
_BIT_RATE_320: Mapping[str, Any] = {"bitrate_mode": "CONSTANT", "compression_level": 0.0}
"""Either of the two alone gives about 140 or 270 kbit/s."""

_TAGS = (
    "title", "artist", "album", "genre", "date", "copyright", "license", "software", "comment",
)  # fmt: skip


def generated_tags(*, model: str, license: str, title: str = "") -> dict[str, str]:
    """Give the tags of a generated track: which model, under which licence, AI-generated.

    Args:
        model: name and version, e.g. "lofi-nano-int8 1.0.0".
        license: of the model, as an SPDX identifier.
        title: the prompt, or nothing.
    """
    comment = f"{MARK} music; model: {model}; model license: {license}"
    tags = {
        "comment": comment,
        "artist": model,
        "copyright": f"model license: {license}",
        "software": f"lofi-recipe {VERSION}",
    }
    return tags | ({"title": title} if title else {})


def write_audio(
    path: Path,
    samples: npt.NDArray[np.float32],
    *,
    format: str = "wav",
    bits: int | None = 16,
    tags: Mapping[str, str],
) -> None:
    """Write a track; the file appears complete or not at all.

    Args:
        path: where to; its folder must exist.
        samples: (2, samples) at 48 kHz; what lies beyond -1 to 1 is clipped.
        format: "wav", "flac" or "mp3".
        bits: 16, 24, or 32 (floating point, WAV only); None for MP3.
        tags: `title`, `artist`, `album`, `genre`, `date`, `copyright`, `software`, `comment` or
            `license` (which WAV has no place for: say it in the comment too). The comment gets
            `MARK` in front unless it begins so.

    Raises:
        AudioWriteError: the disk is full, the folder is missing or not writable, or the sound has
            values that are not numbers; nothing is left behind.
        ValueError: the format, the bits or a tag is unknown.
    """
    encoded = _encode(path, samples, format, bits, tags)
    try:
        with replacing(path) as aside, aside.open("wb") as stream:
            stream.write(encoded)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        reason = error.strerror or str(error)
        raise AudioWriteError(
            f"{path}: cannot be written ({reason})",
            hint="free some space or choose another folder",
        ) from error


def convert_audio(source: Path, path: Path, wanted: AudioFormat) -> None:
    """Write what `write_audio` wrote in another form, with the same tags.

    Raises:
        AudioWriteError: the source cannot be read, or the file not written.
    """
    import soundfile

    try:
        with soundfile.SoundFile(source) as sound:
            read = sound.copy_metadata()
            samples = sound.read(dtype="float32", always_2d=True).T
    except soundfile.LibsndfileError as error:
        raise AudioWriteError(f"{source}: cannot be read ({error})") from error
    tags = {name: text for name, text in read.items() if name in _TAGS}
    write_audio(path, samples, format=wanted.name, bits=wanted.bits, tags=tags)


def _encode(
    path: Path,
    samples: npt.NDArray[np.float32],
    format: str,
    bits: int | None,
    tags: Mapping[str, str],
) -> bytes | memoryview:
    """Encode in memory, where no disk can fail half-way through a header."""
    import soundfile

    subtype = SUBTYPES.get((format, bits))
    if subtype is None:
        allowed = ", ".join(f"{name} {width or ''}".rstrip() for name, width in SUBTYPES)
        raise ValueError(f"audio format is {format} with {bits} bits, must be one of {allowed}")
    if not np.isfinite(samples).all():
        raise AudioWriteError(f"{path}: not written, some samples are not numbers")
    marked = _marked(tags)
    is_mp3 = format == "mp3"
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer,
        "w",
        SAMPLE_RATE,
        channels=2,
        format=format.upper(),
        subtype=subtype,
        **(_BIT_RATE_320 if is_mp3 else {}),
    ) as sound:
        if not is_mp3:
            for tag, text in marked.items():
                setattr(sound, tag, text)
        # A block at a time: libsndfile's lossy encoders put a whole call's samples on the stack.
        for start in range(0, samples.shape[1], _BLOCK):
            sound.write(np.clip(samples[:, start : start + _BLOCK], -1.0, 1.0).T)
    return with_id3(buffer.getvalue(), marked) if is_mp3 else buffer.getbuffer()


def _marked(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags with `MARK` at the head of the comment; refuse an unknown one."""
    unknown = sorted(set(tags) - set(_TAGS))
    if unknown:
        raise ValueError(f"tag '{unknown[0]}' is unknown, must be one of {', '.join(_TAGS)}")
    comment = tags.get("comment", "")
    if not comment.startswith(MARK):
        comment = f"{MARK}; {comment}" if comment else MARK
    return {**tags, "comment": comment}
