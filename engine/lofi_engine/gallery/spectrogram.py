"""A sound as a picture: log-frequency spectrogram, PNG."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 640, 200
"""Of the picture, in pixels."""
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
_WINDOW = 4096
_RANGE_DB = 75.0
_TICKS_HZ = {100.0: "100", 1_000.0: "1k", 10_000.0: "10k"}
# Dark to light, chosen to keep their order for every kind of colour vision.
_COLOURS = (
    (8, 6, 28),
    (52, 18, 92),
    (132, 30, 108),
    (208, 66, 78),
    (248, 142, 60),
    (252, 240, 176),
)


def spectrogram(
    samples: npt.NDArray[np.float32], sample_rate: int, columns: int = WIDTH, rows: int = HEIGHT
) -> npt.NDArray[np.float32]:
    """Measure levels in dB below the loudest, float32 (rows, columns), the lowest frequency last.

    Rows are spaced evenly in octaves from `LOWEST_HZ` to `HIGHEST_HZ`; a row above the window's
    resolution takes the loudest bin that it covers.

    Args:
        samples: float32 (channels, frames), at least one frame.
        sample_rate: in Hz.
        columns: steps in time.
        rows: steps in frequency.
    """
    mono = samples.mean(axis=0)
    padded = np.pad(mono, _WINDOW // 2)
    starts = np.linspace(0, max(mono.size - 1, 0), columns).astype(int)
    window = np.hanning(_WINDOW).astype(np.float32)
    magnitudes = np.stack([np.abs(np.fft.rfft(padded[s : s + _WINDOW] * window)) for s in starts])
    edges_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, rows + 1)
    places = np.minimum(edges_hz * _WINDOW / sample_rate, magnitudes.shape[1] - 1)
    levels = np.empty((rows, columns), np.float32)
    bins = np.arange(magnitudes.shape[1])
    for row, (low, high) in enumerate(pairwise(places)):
        inside = magnitudes[:, int(np.ceil(low)) : int(high) + 1]
        middle = 0.5 * (low + high)
        levels[rows - 1 - row] = (
            inside.max(axis=1)
            if inside.shape[1]
            else [np.interp(middle, bins[:64], column[:64]) for column in magnitudes]
        )
    loudest = float(levels.max()) or 1.0
    return np.asarray(20.0 * np.log10(np.maximum(levels / loudest, 1e-6)), np.float32)


def draw_spectrogram(path: Path, samples: npt.NDArray[np.float32], sample_rate: int) -> None:
    """Write the spectrogram of a sound as a PNG of `WIDTH` by `HEIGHT` pixels.

    Args:
        path: where to.
        samples: float32 (channels, frames).
        sample_rate: in Hz.

    Raises:
        OSError: it cannot be written.
    """
    from PIL import Image, ImageDraw

    levels = spectrogram(samples, sample_rate)
    share = np.clip(1.0 + levels / _RANGE_DB, 0.0, 1.0)
    anchors = np.linspace(0.0, 1.0, len(_COLOURS))
    channels = [np.interp(share, anchors, [colour[c] for colour in _COLOURS]) for c in range(3)]
    picture = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for tick_hz, label in _TICKS_HZ.items():
        octaves = np.log(tick_hz / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ)
        y = round(HEIGHT * (1.0 - float(octaves)))
        pen.line([(0, y), (5, y)], fill=(235, 235, 235))
        pen.text((8, y - 6), label, fill=(235, 235, 235))
    picture.quantize(128).save(path, format="PNG", optimize=True)
