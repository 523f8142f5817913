"""Reads the pixels of an 8-bit RGB or RGBA PNG, with the standard library and NumPy alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

_CHANNELS = {2: 3, 6: 4}


def read_png(path: Path) -> npt.NDArray[np.uint8]:
    """Give the pixels, (height, width, 3 or 4)."""
    data, position, packed = path.read_bytes(), 8, b""
    width = height = kind = 0
    while position < len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        if name == b"IHDR":
            width, height, depth, kind = struct.unpack(">IIBB", body[:10])
            assert depth == 8
        if name == b"IDAT":
            packed += body
        position += length + 12
    channels = _CHANNELS[kind]
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    pixels = np.zeros((height, width * channels), np.uint8)
    for number, row in enumerate(rows):
        above = pixels[number - 1] if number else np.zeros(width * channels, np.uint8)
        pixels[number] = _unfilter(int(row[0]), row[1:], above, channels)
    return pixels.reshape(height, width, channels)


def _unfilter(
    kind: int, row: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], step: int
) -> npt.NDArray[np.uint8]:
    if kind == 0:
        return row
    if kind == 2:
        return row + above
    out = np.zeros(len(row), np.int32)
    for index, value in enumerate(row):
        left = int(out[index - step]) if index >= step else 0
        up = int(above[index])
        corner = int(above[index - step]) if index >= step else 0
        guess = {1: left, 3: (left + up) // 2, 4: _paeth(left, up, corner)}[kind]
        out[index] = (int(value) + guess) % 256
    return out.astype(np.uint8)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda one: abs(estimate - one))
