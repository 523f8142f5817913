"""ID3v2.4 tags for MP3: what libsndfile writes there is Latin-1 and has no place for a licence.

The layout is that of id3.org's "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames".
"""

from __future__ import annotations

from collections.abc import Mapping

_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "genre": b"TCON",
    "date": b"TDRC",
    "copyright": b"TCOP",
    "software": b"TSSE",
}
_HEADER_BYTES = 10
_UTF8 = b"\x03"


def with_id3(encoded: bytes, tags: Mapping[str, str]) -> bytes:
    """Put tags in front of an MP3 stream, in the place of those it has.

    Args:
        encoded: the whole stream.
        tags: by `audio_file`'s names; `comment` becomes COMM, `license` and what is unknown here
            a TXXX of that name.
    """
    frames = b"".join(_frame(name, text) for name, text in tags.items())
    header = b"ID3\x04\x00\x00" + _synchsafe(len(frames))
    return header + frames + encoded[_tag_bytes(encoded) :]


def _frame(name: str, text: str) -> bytes:
    content = text.replace("\0", " ").encode("utf-8", "replace")
    if name in _FRAMES:
        frame, body = _FRAMES[name], _UTF8 + content
    elif name == "comment":
        frame, body = b"COMM", _UTF8 + b"eng\0" + content
    else:
        frame, body = b"TXXX", _UTF8 + name.encode() + b"\0" + content
    return frame + _synchsafe(len(body)) + b"\0\0" + body


def _tag_bytes(encoded: bytes) -> int:
    """Measure the ID3v2 tag a stream begins with, header included; 0 for none."""
    if encoded[:3] != b"ID3":
        return 0
    size = 0
    for septet in encoded[6:_HEADER_BYTES]:
        size = size << 7 | septet
    return _HEADER_BYTES + size


def _synchsafe(size: int) -> bytes:
    """Write a size as four groups of seven bits, so that no byte looks like a frame's sync."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
