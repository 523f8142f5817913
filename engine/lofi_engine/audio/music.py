"""Finds tempo, key and brightness in a sound.

Tempo and key are estimates: an octave off in tempo, a fifth in key, happen.
"""

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

DARK_BELOW_HZ = 900.0
WARM_BELOW_HZ = 1_400.0
BRIGHT_ABOVE_HZ = 1_900.0
"""Spectral centroids below 11 kHz. Between warm and bright nothing is said: that is the middle of
lofi, which is low-passed on purpose. A minute of white noise has 5,500, a piano alone some 700."""
_CLEAR_KEY_FIT = 0.6  # correlation with the best profile
_CLEAR_KEY_LEAD = 0.05  # and how far it is ahead of the second

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
        key_is_clear: whether no other key fits about as well.
        centroid_hz: where the spectrum's weight lies, to 1 Hz; 0.0 for silence.
    """

    tempo_bpm: float
    key: str
    key_is_clear: bool = False
    centroid_hz: float = 0.0

    @property
    def brightness(self) -> str:
        """The centroid as a word: "dark", "warm", "bright", or "" in the middle."""
        return brightness_word(self.centroid_hz)


def analyse(decoded: Decoded, within_bpm: tuple[int, int] = TEMPO_RANGE_BPM) -> Music:
    """Estimate tempo, key and brightness from the first minute, mixed to mono at 22.05 kHz.

    Args:
        decoded: the track.
        within_bpm: where its style's tempo lies; a beat found an octave off is put there.
    """
    from lofi_runtime.pipeline.resample import resample

    sample_rate = decoded.sample_rate
    mixed = decoded.samples[:, : round(ANALYSIS_SEC * sample_rate)].mean(axis=0, keepdims=True)
    mono = resample(mixed, sample_rate, ANALYSIS_RATE)[0]
    key, is_clear = _best_key(mono)
    return Music(find_tempo(mono, within_bpm), key, is_clear, find_centroid(mono))


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
    return _best_key(mono)[0]


def find_centroid(mono: npt.NDArray[np.float32]) -> float:
    """Give the spectral centroid in Hz of mono sound at 22.05 kHz, loud frames counting more.

    The mean of librosa's centroid of each frame's magnitudes, weighted by the frame's energy, so
    that pauses, which are all noise, do not brighten a track. 0.0 for silence.
    """
    import librosa
    import numpy as np

    spectrum = np.abs(librosa.stft(mono))
    energy = np.square(spectrum).sum(axis=0)
    if not np.isfinite(energy).all() or energy.sum() <= 0:
        return 0.0
    centroid = librosa.feature.spectral_centroid(S=spectrum, sr=ANALYSIS_RATE)[0]
    return round(float(np.average(centroid, weights=energy)))


def brightness_word(centroid_hz: float) -> str:
    """Say a spectral centroid in a word: "dark", "warm", "bright", or "" in the middle.

    Args:
        centroid_hz: as `find_centroid` gives it; 0.0 is silence and gets no word.
    """
    if centroid_hz <= 0:
        return ""
    if centroid_hz < DARK_BELOW_HZ:
        return "dark"
    if centroid_hz < WARM_BELOW_HZ:
        return "warm"
    return "bright" if centroid_hz > BRIGHT_ABOVE_HZ else ""


def _best_key(mono: npt.NDArray[np.float32]) -> tuple[str, bool]:
    """Give the key that fits best, and whether it is clearly ahead of the others."""
    import librosa.feature
    import numpy as np

    if len(mono) < _SHORTEST_SEC * ANALYSIS_RATE:
        mono = np.pad(mono, (0, round(_SHORTEST_SEC * ANALYSIS_RATE) - len(mono)))
    chroma = librosa.feature.chroma_cqt(y=mono, sr=ANALYSIS_RATE, tuning=0.0).mean(axis=1)
    if not np.isfinite(chroma).all() or np.ptp(chroma) < 1e-6:
        return "", False
    scores = {
        f"{PITCH_NAMES[tonic]} {mode}": float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1])
        for mode, profile in _PROFILES.items()
        for tonic in range(12)
    }
    first, second = sorted(scores, key=lambda key: (scores[key], key), reverse=True)[:2]
    lead = scores[first] - scores[second]
    return first, scores[first] >= _CLEAR_KEY_FIT and lead >= _CLEAR_KEY_LEAD


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
