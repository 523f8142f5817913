"""Finds tempo and key in a sound. Estimates: an octave off in tempo, a fifth in key, happen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.audio.decode import Decoded
from lofi_runtime.synth.score import PITCH_NAMES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ANALYSIS_RATE = 22_050
ANALYSIS_SEC = 60.0
TEMPO_RANGE_BPM = (60, 120)
"""Where the tempo of a track without a style is looked for."""
_PRIOR_OCTAVES = 0.5
_SHORTEST_SEC = 4.0  # the lowest octave's filters are longer than very short tracks

# How well each pitch class fits a key, tonic first: Krumhansl & Kessler 1982, as printed in
# Krumhansl, Cognitive Foundations of Musical Pitch (1990), table 2.1.
_PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


@dataclass(frozen=True)
class Music:
    """What was heard.

    Args:
        tempo_bpm: to one decimal; 0.0 where no beat was found.
        key: "A minor"; "" where no pitch was found.
    """

    tempo_bpm: float
    key: str


def analyse(decoded: Decoded, within_bpm: tuple[int, int] = TEMPO_RANGE_BPM) -> Music:
    """Estimate tempo and key from the first minute, mixed to mono at 22.05 kHz.

    Args:
        decoded: the track.
        within_bpm: where its style's tempo lies; a beat found an octave off is put there.
    """
    from lofi_runtime.pipeline.resample import resample

    sample_rate = decoded.sample_rate
    mixed = decoded.samples[:, : round(ANALYSIS_SEC * sample_rate)].mean(axis=0, keepdims=True)
    mono = resample(mixed, sample_rate, ANALYSIS_RATE)[0]
    return Music(find_tempo(mono, within_bpm), find_key(mono))


def find_tempo(
    mono: npt.NDArray[np.float32], within_bpm: tuple[int, int] = TEMPO_RANGE_BPM
) -> float:
    """Estimate the tempo in beats per minute of mono sound at 22.05 kHz; 0.0 without a beat."""
    import librosa.feature
    import numpy as np
    from librosa.onset import onset_strength

    onsets = onset_strength(y=mono, sr=ANALYSIS_RATE)
    if not np.any(onsets > 0):
        return 0.0
    # The prior sits mid-range: librosa's own, 120, doubles slow beats.
    middle_bpm = math.sqrt(within_bpm[0] * within_bpm[1])
    tempo = librosa.feature.tempo(
        onset_envelope=onsets, sr=ANALYSIS_RATE, start_bpm=middle_bpm, std_bpm=_PRIOR_OCTAVES
    )
    return fold_tempo(float(tempo[0]), within_bpm)


def find_key(mono: npt.NDArray[np.float32]) -> str:
    """Estimate the key of mono sound at 22.05 kHz, such as "A minor"; "" without pitch.

    The chroma's correlation with the 24 key profiles (Krumhansl-Schmuckler).
    """
    import librosa.feature
    import numpy as np

    if len(mono) < _SHORTEST_SEC * ANALYSIS_RATE:
        mono = np.pad(mono, (0, round(_SHORTEST_SEC * ANALYSIS_RATE) - len(mono)))
    chroma = librosa.feature.chroma_cqt(y=mono, sr=ANALYSIS_RATE, tuning=0.0).mean(axis=1)
    if not np.isfinite(chroma).all() or np.ptp(chroma) < 1e-6:
        return ""
    scores = {
        f"{PITCH_NAMES[tonic]} {mode}": float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1])
        for mode, profile in _PROFILES.items()
        for tonic in range(12)
    }
    return max(scores, key=lambda key: (scores[key], key))


def fold_tempo(tempo_bpm: float, within_bpm: tuple[int, int]) -> float:
    """Double or halve a tempo until it is nearest to a style's range: what trackers get wrong.

    Args:
        tempo_bpm: as found; 0.0 stays 0.0.
        within_bpm: the style's lowest and highest tempo.
    """
    if tempo_bpm <= 0:
        return 0.0
    middle = math.sqrt(within_bpm[0] * within_bpm[1])
    octaves = round(math.log2(middle / tempo_bpm))
    return round(tempo_bpm * 2.0**octaves, 1)
