"""What each dimension of the built-in embedding is: its name, unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from lofi_engine.metrics.embeddings.sound_bands import (
    EDGES_HZ,
    NOISE_EDGES_HZ,
    SIDE_EDGES_HZ,
    STEPS_FROM,
    WIDE_EDGES_HZ,
)
from lofi_engine.metrics.embeddings.sound_rhythm import HITS_EDGES_HZ, MOVEMENT_EDGES_HZ
from lofi_engine.metrics.embeddings.sound_scales import SCALES
from lofi_engine.metrics.embeddings.sound_tones import COMB_LINES, VOCODER_HZ


@dataclass(frozen=True)
class Dimension:
    """One dimension of a vector: `(value - centre) / spread`, then bent as `SoundEmbedding` says.

    Args:
        name: such as "level-3".
        unit: of the value before it is scaled.
        says: what is measured.
        centre: the value's mean over lofi music, in `unit`.
        spread: its standard deviation there, in `unit`.
    """

    name: str
    unit: str
    says: str
    centre: float
    spread: float


def _bands(kind: str, unit: str, edges: tuple[float, ...], says: str) -> list[tuple[str, str, str]]:
    return [
        (f"{kind}-{number}", unit, says.format(f"{low:g} to {high:g} Hz"))
        for number, (low, high) in enumerate(pairwise(edges), start=1)
    ]


def _combs() -> list[tuple[str, str, str]]:
    says = "multiples {} to {} of 86.13 Hz above what is beside them, mean of their dB"
    return [(name, "dB", says.format(low, high - 1)) for name, (low, high) in COMB_LINES.items()]


_MEANINGS: tuple[tuple[str, str, str], ...] = (
    ("loudness", "dBFS", "root mean square of both sides"),
    ("loudness-spread", "dB", "standard deviation of the level of frames of 43 ms"),
    *_bands("level", "dB", EDGES_HZ, "level of {} against the whole")[:STEPS_FROM],
    *_bands("level", "dB", EDGES_HZ, "level of {} against the band below")[STEPS_FROM:],
    *_bands("quiet", "dB", WIDE_EDGES_HZ, "quietest tenth of {} against its median: the floor"),
    *_bands("loud", "dB", WIDE_EDGES_HZ, "loudest twentieth of {} against its median: hits"),
    *_bands(
        "noise", "dB", NOISE_EDGES_HZ, "spectral flatness of {}: near 0 is noise, low is tones"
    ),
    *_bands("side", "dB", SIDE_EDGES_HZ, "side against middle in {}, -40 for mono"),
    ("balance", "dB", "left against right"),
    *_bands("hits", "dB", HITS_EDGES_HZ, "mean rise of the level of {} within 21 ms"),
    ("hits-peak", "dB", "strongest fiftieth of the rises against their mean"),
    ("onsets", "1/s", "onsets"),
    *_bands("movement", "dB", MOVEMENT_EDGES_HZ, "share of the rises' variation at {}"),
    ("movement-centre", "octaves of 1 Hz", "centre of the speeds of the rises' variation"),
    ("beat-period", "octaves of 1 s", "time after which rises come again, within 0.5 to 1.1 s"),
    ("beat-clarity", "1", "autocorrelation of the rises at the best such time"),
    ("chroma-change", "dB", "how unlike pitch classes 0.25 s apart are"),
    ("chroma-spread", "bits", "entropy of the pitch classes"),
    ("third", "nepers", "major against minor third of the strongest fifth"),
    ("pitch-height", "semitones", "mean pitch above C3"),
    ("tuning-in", "1", "how much peaks agree with semitones of A at 440 Hz"),
    ("tuning-off", "1", "how much they lie 25 cents above those, below is negative"),
    *_combs(),
    ("throb-vocoder", "dB", f"the treble's envelope at multiples of {VOCODER_HZ:.2f} Hz"),
    ("throb-latents", "dB", "the same at multiples of an eighth of it, the latents' rate"),
    ("peak-crowd", "decades", "share of samples within half a dB of the peak"),
    ("crest", "dB", "peak against root mean square"),
    ("clicks", "1/sqrt(s)", "square root of how often 1 ms stands out above 4 kHz"),
)

DIMENSIONS: tuple[Dimension, ...] = tuple(
    Dimension(name, unit, says, *SCALES[name]) for name, unit, says in _MEANINGS
)
"""Every dimension, in the order of a vector."""
