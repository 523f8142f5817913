"""Writes tracks for the dataset. The same samples give the same bytes: no dates, no tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lofi_runtime.backend import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MP3_KBPS = 320
# LAME's 5: at 320 kbit/s slower settings change little, and this one encodes a minute in 1 s.
_MP3_QUALITY = 5


def write_track(path: Path, samples: npt.NDArray[np.float32]) -> None:
    """Write (2, samples) at 48 kHz as 320 kbit/s MP3 or 24-bit FLAC, by the suffix.

    Args:
        path: ends in ".mp3" or ".flac".
        samples: within -1 to 1.

    Raises:
        ValueError: another suffix, or not stereo.
        OSError: the disk.
    """
    if samples.ndim != 2 or samples.shape[0] != 2:
        raise ValueError(f"expected (2, samples), got {samples.shape}")
    if path.suffix == ".mp3":
        path.write_bytes(_mp3(samples))
    elif path.suffix == ".flac":
        import soundfile

        soundfile.write(path, samples.T, SAMPLE_RATE, format="FLAC", subtype="PCM_24")
    else:
        raise ValueError(f"'{path.suffix}' cannot be written; .mp3 and .flac can")


def _mp3(samples: npt.NDArray[np.float32]) -> bytes:
    import lameenc
    import numpy as np

    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(MP3_KBPS)
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_channels(2)
    encoder.set_quality(_MP3_QUALITY)
    pcm = np.clip(np.rint(samples.T * 32_767), -32_768, 32_767).astype("<i2")
    return bytes(encoder.encode(pcm.tobytes())) + bytes(encoder.flush())
