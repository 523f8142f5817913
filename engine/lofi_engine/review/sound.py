"""What a browser needs of a file: bytes it can play, and a picture of them.

Everything that decodes runs in a child process (`lofi_engine.review.decoder`): decoders are C code
fed with strangers' files.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.audio.convert import to_stereo
from lofi_engine.audio.decode import check_file, decode

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

HEARD_SEC = 900.0
"""What is drawn, and what is converted, of a longer file."""

WAV_TYPE = "audio/wav"
_TYPES = {"MP3": "audio/mpeg", "FLAC": "audio/flac", "OGG": "audio/ogg"}
_TYPES |= {"WAV": WAV_TYPE, "WAVEX": WAV_TYPE}
_CODINGS = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "FLOAT", "VORBIS", "OPUS", "MPEG_LAYER_III")
_MAX_SAMPLE_RATE = 96_000

COLUMNS = 800
BANDS = 96
_WINDOW = 2048
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 20_000.0
_RANGE_DB = 72.0


def media_type(path: Path) -> str:
    """Give the type under which every browser plays a file as it is; "" where one must convert.

    Raises:
        DecodeError: it is not a file or cannot be read.
    """
    import soundfile

    check_file(path)
    try:
        found = soundfile.info(os.fsencode(path))  # text would have to be UTF-8
    except soundfile.LibsndfileError:
        return ""
    plain = found.channels <= 2 and found.samplerate <= _MAX_SAMPLE_RATE
    return _TYPES.get(found.format, "") if plain and found.subtype in _CODINGS else ""


def convert(path: Path, place: Path) -> None:
    """Decode a file and write it as a 16-bit stereo WAV of the same sample rate.

    Raises:
        DecodeError: it cannot be decoded in full.
    """
    import soundfile

    decoded = decode(path, keep_sec=HEARD_SEC)
    soundfile.write(
        place, to_stereo(decoded).T, decoded.sample_rate, format="WAV", subtype="PCM_16"
    )


def picture(path: Path) -> dict[str, Any]:
    """Decode a file and draw it.

    Returns:
        `duration_sec` of the file, `drawn_sec` of the picture, `sample_rate`, `channels`,
        `format`, `subtype`; `low` and `high`, the envelope in `columns` steps, -100 to 100;
        `spectrogram`, base64 of `bands` x `columns` bytes, rows from low to high frequency, 0 to
        255 for the loudest 72 dB; `lowest_hz` and `highest_hz` of its logarithmic axis.

    Raises:
        DecodeError: it cannot be decoded in full.
    """
    decoded = decode(path, keep_sec=HEARD_SEC)
    mono = decoded.samples.mean(axis=0)
    columns = max(1, min(COLUMNS, len(mono) // 64))
    low, high = _envelope(mono, columns)
    highest_hz = min(_HIGHEST_HZ, decoded.sample_rate / 2)
    return {
        "duration_sec": round(decoded.duration_sec, 3),
        "drawn_sec": round(len(mono) / decoded.sample_rate, 3),
        "sample_rate": decoded.sample_rate,
        "channels": decoded.channels,
        "format": decoded.format,
        "subtype": decoded.subtype,
        "columns": columns,
        "bands": BANDS,
        "low": low,
        "high": high,
        "spectrogram": _spectrogram(mono, decoded.sample_rate, columns, highest_hz),
        "lowest_hz": _LOWEST_HZ,
        "highest_hz": highest_hz,
    }


def _envelope(mono: Samples, columns: int) -> tuple[list[int], list[int]]:
    import numpy as np

    starts = np.linspace(0, len(mono), columns, endpoint=False).astype(np.int64)
    lows = np.minimum.reduceat(mono, starts)
    highs = np.maximum.reduceat(mono, starts)
    return _percent(lows), _percent(highs)


def _percent(values: Samples) -> list[int]:
    import numpy as np

    return [int(value) for value in np.rint(np.clip(values, -1, 1) * 100)]


def _spectrogram(mono: Samples, sample_rate: int, columns: int, highest_hz: float) -> str:
    """Give the power in logarithmic bands, one Hann window in the middle of each column."""
    import numpy as np

    padded = np.pad(mono, (_WINDOW // 2, _WINDOW))
    middles = (np.arange(columns) + 0.5) * len(mono) / columns
    places = middles.astype(np.int64)[:, None] + np.arange(_WINDOW)
    power = np.abs(np.fft.rfft(padded[places] * np.hanning(_WINDOW), axis=1)) ** 2
    edges_hz = np.geomspace(_LOWEST_HZ, highest_hz, BANDS + 1)
    bins = np.clip(edges_hz * _WINDOW / sample_rate, 0, power.shape[1] - 1)
    lowest = np.floor(bins[:-1]).astype(np.int64)
    highest = np.maximum(np.ceil(bins[1:]).astype(np.int64), lowest + 1)
    summed = np.pad(np.cumsum(power, axis=1), ((0, 0), (1, 0)))
    means = (summed[:, highest] - summed[:, lowest]) / (highest - lowest)
    level_db = 10 * np.log10(np.maximum(means, 1e-12))
    # Silence is drawn dark, not stretched to the full range.
    top = max(float(level_db.max()), 0.0)
    shade = np.clip((level_db - top) / _RANGE_DB + 1, 0, 1) * 255
    return base64.b64encode(shade.T.astype(np.uint8).tobytes()).decode("ascii")
