"""What tempo a text asks for, what tempo a sound has, and how far the two are apart.

`audio.music` finds the beat; its answer, good to some 3 %, is made exact here, and its two-thirds
and three-quarter errors are mended.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lofi_engine.audio.music import ANALYSIS_RATE, ANALYSIS_SEC, TEMPO_RANGE_BPM, find_tempo
from lofi_engine.metrics.mono import mono_at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.metrics.clips import Clip

    Values = npt.NDArray[np.float64]

TOLERANCE = 0.04
"""Gouyon et al., "An experimental comparison of audio tempo induction algorithms", 2006: accuracy 1
is within 4 %, accuracy 2 also counts what is an octave off."""

TEMPO_LIMITS_BPM = (30.0, 300.0)
"""What a text may ask for; other numbers are no tempos."""
FURTHEST = math.sqrt(2.0) - 1.0
"""No tempo is further than half an octave from the nearest octave of another one."""

_NUMBER = r"(\d{2,3}(?:\.\d+)?)"
_UNIT = r"\s*-?\s*(?:bpm|beats per minute)\b"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![\d.]){_NUMBER}\s*(?:-|–|—|to|~)\s*{_NUMBER}{_UNIT}",
        rf"(?<![\d.]){_NUMBER}{_UNIT}",
        rf"\b(?:bpm|tempo)\s*(?:of|is|at)?\s*[:=]?\s*{_NUMBER}(?![\d.])",
    )
)

_HOP = 512
_FFT_SIZE = 1 << 16
_FRAMES_PER_SEC = ANALYSIS_RATE / _HOP
_SPAN = 0.04  # librosa's answer is one of its lags, up to 2.5 % off
_RATIOS = (1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0)  # what trackers take for the beat
_SEARCHED_BPM = (45.0, 180.0)
_PRIOR_OCTAVES = 0.5
_BEATS = (1, 2)  # the beat and its half choose among the ratios,
_FINE = (1, 2, 4)  # and its quarter says where exactly it is
_LEAST_CLARITY = 3.0  # times the middle of all tempos: noise reaches 2, drums 5 to 18
_LEAST_ONSETS = 0.1  # dB, standard deviation: a steady tone has 0.02, a pad with rain 0.7


@dataclass(frozen=True)
class AskedTempo:
    """A tempo, or a range of them, in beats per minute."""

    lowest_bpm: float
    highest_bpm: float

    def __str__(self) -> str:
        """Write it as prompts do."""
        if self.lowest_bpm == self.highest_bpm:
            return f"{self.lowest_bpm:g} bpm"
        return f"{self.lowest_bpm:g}-{self.highest_bpm:g} bpm"


def asked_tempo(prompt: str) -> AskedTempo | None:
    """Read the tempo that a text asks for in numbers: "74 bpm", "74.5 bpm", "70-80 bpm".

    Words such as "slow" ask for nothing that can be held against a number.
    """
    for pattern in _PATTERNS:
        for match in pattern.finditer(prompt):
            numbers = sorted(float(number) for number in match.groups())
            if TEMPO_LIMITS_BPM[0] <= numbers[0] and numbers[-1] <= TEMPO_LIMITS_BPM[1]:
                return AskedTempo(numbers[0], numbers[-1])
    return None


@dataclass(frozen=True)
class Agreement:
    """How a tempo that was found fits one that was asked for.

    Args:
        is_strict: within 4 % of it.
        is_octave_error: not so, but doubled or halved it would be.
        deviation: share by which the nearest octave misses it; 0 within a range, at most
            `FURTHEST`.
    """

    is_strict: bool
    is_octave_error: bool
    deviation: float


NO_BEAT = Agreement(is_strict=False, is_octave_error=False, deviation=FURTHEST)
"""What a sound without a beat is given."""


def agreement(found_bpm: float, asked: AskedTempo) -> Agreement:
    """Hold a tempo against the one asked for.

    Args:
        found_bpm: above 0; 0.0 gives `NO_BEAT`.
        asked: what it should be.
    """
    if found_bpm <= 0:
        return NO_BEAT
    middle = math.sqrt(asked.lowest_bpm * asked.highest_bpm)
    octaves = round(math.log2(middle / found_bpm))
    folded = _deviation(found_bpm * 2.0**octaves, asked)
    strict = _deviation(found_bpm, asked)
    fits = folded <= TOLERANCE + 1e-9
    is_strict = strict <= TOLERANCE + 1e-9
    return Agreement(is_strict, fits and not is_strict, min(folded, strict, FURTHEST))


def hear_tempo(clip: Clip) -> float:
    """Estimate the tempo of a clip's first minute in beats per minute; 0.0 without a clear beat.

    `audio.music.find_tempo` gives the first guess. It and its halves, doubles, thirds and quarters
    are held against the spectrum of the onset strength: the one whose beat and half beat are
    strongest wins, weighted by the same prior (log-normal around the middle of 60 to 120 bpm, half
    an octave wide), and the strongest point within 4 % is the tempo.
    """
    import numpy as np
    from librosa.onset import onset_strength

    mono = hear_mono(clip)
    guess_bpm = find_tempo(mono)
    onsets = onset_strength(y=mono, sr=ANALYSIS_RATE, hop_length=_HOP).astype(np.float64)
    if guess_bpm <= 0 or onsets.std() < _LEAST_ONSETS:
        return 0.0
    spectrum = _onset_spectrum(onsets)
    bpm = max(
        (_best_near(spectrum, guess_bpm * ratio) for ratio in _RATIOS),
        key=lambda one: _weight(one) * float(_pulse(spectrum, np.array([one]), _BEATS)[0]),
    )
    exact = bpm * np.linspace(1 - _SPAN / 2, 1 + _SPAN / 2, 161)
    pulse = _pulse(spectrum, exact, _FINE)
    elsewhere = _pulse(spectrum, np.geomspace(*_SEARCHED_BPM, 400), _FINE)
    if pulse.max() < _LEAST_CLARITY * np.median(elsewhere):
        return 0.0
    return round(float(exact[int(np.argmax(pulse))]), 2)


def hear_mono(clip: Clip) -> npt.NDArray[np.float32]:
    """Give a clip's first minute as `audio.music` listens to it: mono, 22.05 kHz.

    Raises:
        MetricError: its channels cancel out.
    """
    beginning = clip.samples[:, : round(ANALYSIS_SEC * clip.sample_rate)]
    return mono_at(replace(clip, samples=beginning), ANALYSIS_RATE)


def _deviation(bpm: float, asked: AskedTempo) -> float:
    return max(asked.lowest_bpm / bpm, bpm / asked.highest_bpm, 1.0) - 1.0


def _onset_spectrum(onsets: Values) -> Values:
    import numpy as np

    windowed = (onsets - onsets.mean()) * np.hanning(len(onsets))
    spectrum: Values = np.abs(np.fft.rfft(windowed, _FFT_SIZE))
    return spectrum


def _pulse(spectrum: Values, bpm: Values, beats: tuple[int, ...]) -> Values:
    """Give how strong a pulse is at each tempo: the sum over its beat and parts of the beat."""
    import numpy as np

    places = bpm / 60.0 / _FRAMES_PER_SEC * _FFT_SIZE
    bins = np.arange(len(spectrum))
    total: Values = sum(
        (np.interp(places * part, bins, spectrum) for part in beats), np.zeros_like(places)
    )
    return total


def _best_near(spectrum: Values, bpm: float) -> float:
    import numpy as np

    near = bpm * np.linspace(1 - _SPAN, 1 + _SPAN, 161)
    return float(near[int(np.argmax(_pulse(spectrum, near, _BEATS)))])


def _weight(bpm: float) -> float:
    if not _SEARCHED_BPM[0] <= bpm <= _SEARCHED_BPM[1]:
        return 0.0
    middle = math.sqrt(TEMPO_RANGE_BPM[0] * TEMPO_RANGE_BPM[1])
    return math.exp(-0.5 * (math.log2(bpm / middle) / _PRIOR_OCTAVES) ** 2)
