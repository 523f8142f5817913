"""What people know the sound of: MP3 at 128 kbit/s, and 8-bit mu-law."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

MP3_KBPS = 128
_MP3_QUALITY = 2
_MU = 255.0
_LONGEST_DELAY = 4096


def through_mp3(samples: Samples, sample_rate: int, kbps: int = MP3_KBPS) -> Samples:
    """Encode with LAME at a constant bitrate and decode again, the codec's delay taken off.

    Args:
        samples: float32 (2, samples), within -1 to 1.
        sample_rate: 32000, 44100 or 48000.
        kbps: of both channels together.

    Returns:
        float32 (2, samples), as long as what was given.
    """
    import lameenc
    import numpy as np
    import soundfile

    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(kbps)
    encoder.set_in_sample_rate(sample_rate)
    encoder.set_channels(2)
    encoder.set_quality(_MP3_QUALITY)
    steps = np.clip(np.round(samples * 32767.0), -32768, 32767).astype("<i2")
    encoded = bytes(encoder.encode(steps.T.tobytes())) + bytes(encoder.flush())
    decoded = soundfile.read(io.BytesIO(encoded), dtype="float32", always_2d=True)[0].T
    return _aligned(decoded, samples)


def through_mu_law(samples: Samples) -> Samples:
    """Quantize to 8 bits on the mu-law curve (mu = 255), as telephones and WaveNet do.

    Args:
        samples: float32 (channels, samples); what lies beyond -1 to 1 is clipped.
    """
    import numpy as np

    clipped = np.clip(samples, -1.0, 1.0)
    bent = np.sign(clipped) * np.log1p(_MU * np.abs(clipped)) / np.log1p(_MU)
    steps = np.round((bent + 1.0) / 2.0 * 255.0) / 255.0 * 2.0 - 1.0
    straight = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU
    found: Samples = straight.astype(np.float32)
    return found


def _aligned(decoded: Samples, original: Samples) -> Samples:
    """Take off the delay, which is where the cross-correlation is highest, and pad the end."""
    import numpy as np
    from scipy.signal import correlate

    length = original.shape[1]
    short = min(length, 10 * _LONGEST_DELAY)
    late = decoded[:, : short + _LONGEST_DELAY].mean(axis=0)
    likeness = correlate(late, original[:, :short].mean(axis=0), mode="valid", method="fft")
    delay = int(np.argmax(likeness))
    kept = decoded[:, delay : delay + length]
    found: Samples = np.pad(kept, ((0, 0), (0, length - kept.shape[1])))
    return found
