"""Keys, chord progressions and voicings.

A progression is text, one token a bar: "2:m9 7:13 0:maj9" is ii9 V13 Imaj9, the number being
semitones above the tonic. "2:m9/7:13" puts two chords into one bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from lofi_runtime.synth.draws import chance, pick
from lofi_runtime.synth.score import BEATS_PER_BAR, Key
from lofi_runtime.synth.words import Wishes

QUALITIES: dict[str, tuple[int, ...]] = {
    "maj7": (0, 4, 7, 11),
    "maj9": (0, 4, 7, 11, 14),
    "6/9": (0, 4, 7, 9, 14),
    "maj7#11": (0, 4, 7, 11, 18),
    "m7": (0, 3, 7, 10),
    "m9": (0, 3, 7, 10, 14),
    "m11": (0, 3, 7, 10, 17),
    "m6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 14),
    "13": (0, 4, 10, 14, 21),
    "sus13": (0, 5, 10, 14, 21),
    "7b9": (0, 4, 7, 10, 13),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "6": (0, 4, 7, 9),
    "add9": (0, 2, 4, 7),
    "7sus": (0, 5, 7, 10),
    "7#9": (0, 4, 10, 15),
    "7#5": (0, 4, 8, 10),
    "mM7": (0, 3, 7, 11),
    "maj13": (0, 4, 11, 14, 21),
}

_MAJOR = (
    "0:maj9 9:m9 2:m9 7:13",
    "2:m9 7:13 0:maj9 9:m9",
    "0:maj9 4:m7 5:maj9 7:sus13",
    "5:maj9 4:m7 2:m9 0:maj9",
    "0:maj9 2:m9 4:m7 5:maj9",
    "0:maj9 9:m9 5:maj9 5:m6",
    "0:maj9 4:m7/9:m9 2:m9 7:sus13/7:13",
    "5:maj9 7:13 4:m7 9:m9 2:m9 7:sus13 0:6/9 0:maj9",
    "0:maj9 11:m7b5/4:7b9 9:m9 7:m9/0:13 5:maj9 5:m6 4:m7/9:9 2:m9/7:13",
)
_MINOR = (
    "0:m9 5:m9 10:13 3:maj9",
    "0:m9 8:maj9 5:m9 7:m7",
    "0:m9 3:maj9 8:maj9 7:7b9",
    "0:m9 10:6/9 8:maj9 7:m7",
    "8:maj9 7:m7 0:m9 0:m11",
    "0:m9 5:m9 0:m9 7:m7",
    "2:m7b5 7:7b9 0:m9 0:m11",
    "0:m9 5:m9/10:13 3:maj9 8:maj9 2:m7b5 7:7b9 0:m9 0:m11",
)
_DORIAN = ("0:m9 5:9 0:m9 5:9", "0:m9 2:m7 0:m9 5:13", "0:m9 10:maj7 5:9 0:m11")
_LYDIAN = ("0:maj7#11 2:6/9 0:maj9 2:6/9", "0:maj9 2:9 11:m7 0:maj7#11")
_MIXOLYDIAN = ("0:9 10:6/9 5:maj9 0:9", "0:13 7:m7 5:maj9 0:9")
_PHRYGIAN = ("0:m7 1:maj7 0:m7 10:m7", "0:m7 8:maj7 1:maj7 0:m7", "0:m7 1:maj9 10:m9 0:m11")
_HARMONIC_MINOR = ("0:mM7 5:m7 7:7b9 0:m6", "0:m6 8:maj7 7:7b9 0:mM7", "0:mM7 11:dim7 0:m6 7:7b9")
_PENTATONIC = ("0:6/9 9:m7 2:7sus 0:6/9", "0:6/9 2:7sus 9:m7 0:add9", "0:add9 9:m7 0:6/9 2:7sus")
_PROGRESSIONS = {
    "major": _MAJOR,
    "minor": _MINOR,
    "dorian": _DORIAN,
    "lydian": _LYDIAN,
    "mixolydian": _MIXOLYDIAN,
    "phrygian": _PHRYGIAN,
    "harmonic minor": _HARMONIC_MINOR,
    "pentatonic": _PENTATONIC,
}
_FLAVOURED: dict[tuple[str, str], tuple[str, ...]] = {
    ("jazz", "major"): (
        "0:maj9 9:7b9 2:m9 7:13",
        "0:6/9 4:m7/9:7#9 2:m9 7:sus13/7:13",
        "2:m9 7:13 0:maj9 9:7b9",
        "0:maj13 5:9 4:m7/9:7b9 2:m9/7:13",
    ),
    ("jazz", "minor"): (
        "0:m9 2:m7b5/7:7#9 0:m9 5:m9/10:13",
        "0:m6 5:m9/10:13 3:maj9 2:m7b5/7:7b9",
        "2:m7b5 7:7b9 0:m9 0:m6",
    ),
    ("jazz", "dorian"): ("0:m9 5:13 0:m11 5:9", "0:m11 5:13 10:maj9 2:m7/7:7#9"),
    ("jazz", "mixolydian"): ("0:13 5:9 0:13 7:m7/0:9", "0:9 5:9 0:13 10:6/9"),
    ("house", "major"): ("0:maj9 0:maj9 5:maj9 5:maj9", "0:maj9 9:m9 0:maj9 9:m9"),
    ("house", "minor"): (
        "0:m9 0:m9 8:maj9 8:maj9",
        "0:m9 0:m9 5:m9 5:m9",
        "0:m9 10:6/9 0:m9 10:6/9",
    ),
    ("house", "dorian"): ("0:m9 0:m9 5:9 5:9", "0:m9 2:m7 0:m9 2:m7"),
    ("ambient", "major"): ("0:maj9 5:maj9 0:maj9 5:maj9", "0:add9 5:maj9", "0:maj9 9:m11"),
    ("ambient", "lydian"): ("0:maj7#11 2:6/9", "0:maj9 2:add9 0:maj7#11 2:add9"),
    ("ambient", "minor"): ("0:m11 8:maj9", "0:m9 8:maj9 0:m11 10:add9"),
    ("dark", "minor"): (
        "0:m9 0:m11 8:maj7 7:7b9",
        "0:m9 1:maj7 0:m9 7:7b9",
        "0:m7 3:maj7 1:maj7 0:m11",
    ),
    ("pop", "major"): (
        "0:add9 7:6 9:m7 5:add9",
        "0:add9 4:m7 5:maj7 5:m6",
        "0:add9 9:m7 5:add9 7:7sus",
    ),
    ("pop", "minor"): ("0:m7 8:maj7 3:add9 10:6", "0:m7 10:6 8:add9 10:add9"),
    ("pop", "mixolydian"): ("0:add9 10:add9 5:add9 0:add9", "0:6 10:6 5:6 0:add9"),
    ("city pop", "major"): (
        "0:maj9 9:m9 5:maj9/7:sus13 4:m7/9:9",
        "5:maj9 7:13 4:m7 9:m9",
        "0:maj9 11:m7b5/4:7#9 9:m9 7:m9/0:13",
    ),
    ("city pop", "minor"): ("8:maj9 10:13 7:m7 0:m9", "0:m9 8:maj9/10:13 3:maj9 7:m7/0:m9"),
    ("soul", "minor"): (
        "0:m9 3:maj9 2:m9 7:7#9",
        "0:m11 8:maj9 5:m9 7:7#9",
        "5:m9 7:m7 0:m9 0:m11",
    ),
    ("soul", "major"): ("0:maj9 11:m7/4:7#9 9:m9 2:9", "0:maj9 4:7#5 5:maj9 5:m6"),
    ("tropical", "major"): ("0:6/9 5:add9 7:9 0:6", "0:add9 9:m7 5:6 7:7sus", "0:6 5:6 0:6 7:9"),
    ("tropical", "mixolydian"): ("0:6/9 10:add9 5:add9 0:6", "0:add9 5:6 10:6 0:6"),
    ("festive", "major"): (
        "0:6 9:m7 2:m7 7:9",
        "0:maj7 0:9 5:maj7 5:m6",
        "0:6 4:7#5/9:m7 2:m9 7:sus13",
    ),
}
"""Progressions by flavour and mode; where a pair is missing the mode's own are played."""
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "pentatonic": (0, 2, 4, 7, 9),
}
TONIC_QUALITY = {
    "major": "6/9",
    "minor": "m9",
    "dorian": "m9",
    "lydian": "maj9",
    "mixolydian": "9",
    "phrygian": "m7",
    "harmonic minor": "m6",
    "pentatonic": "6/9",
}

_MINOR_MOODS = frozenset(
    ("melancholic", "dark", "moody", "spooky", "lonely", "introspective", "contemplative")
)
_MAJOR_MOODS = frozenset(("hopeful", "happy", "upbeat", "festive", "romantic", "cozy", "warm"))

VOICING_RANGE = (50, 76)


@dataclass(frozen=True)
class Chord:
    """A chord in time: a root pitch class, a quality, and where it sounds.

    Args:
        root: pitch class.
        quality: a name of `QUALITIES`.
        start_beats: from the start of the progression.
        duration_beats: until the next chord.
        is_home: whether it is the tonic chord, which is voiced in full.
    """

    root: int
    quality: str
    start_beats: float
    duration_beats: float
    is_home: bool = False

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The chord's pitch classes, root first."""
        return tuple((self.root + interval) % 12 for interval in QUALITIES[self.quality])


def choose_key(wishes: Wishes, rng: np.random.Generator) -> Key:
    """Return the key asked for; what was left open follows the first telling mood, then chance."""
    tonic = int(rng.integers(12))
    minor_share = 0.5
    for mood in reversed(wishes.moods):
        if mood in _MINOR_MOODS:
            minor_share = 0.92
        elif mood in _MAJOR_MOODS:
            minor_share = 0.08
    is_minor = chance(rng, minor_share)
    modes = wishes.modes or ("minor", "major")
    fitting = [mode for mode in modes if Key(tonic, mode).is_minor == is_minor]
    mode = wishes.mode or pick(rng, fitting or modes)
    return Key(tonic if wishes.tonic is None else wishes.tonic, mode)


def choose_progression(
    key: Key, rng: np.random.Generator, *, home: bool, flavour: str = ""
) -> tuple[Chord, ...]:
    """Return a progression of two, four or eight bars.

    Args:
        key: the key to be in.
        rng: chooses.
        home: whether it must begin on the tonic, as a first theme should.
        flavour: whose chords to use, a `flavour.Flavour.chords`; "" for the mode's own.
    """
    templates = _FLAVOURED.get((flavour, key.mode), _PROGRESSIONS[key.mode])
    if home:
        templates = tuple(text for text in templates if text.startswith("0:"))
    return parse_progression(pick(rng, templates), key.tonic)


def parse_progression(text: str, tonic: int) -> tuple[Chord, ...]:
    """Return the chords that `text` (see the module) stands for above `tonic`."""
    chords = []
    for bar, token in enumerate(text.split()):
        names = token.replace("6/9", "6_9").split("/")
        share = BEATS_PER_BAR / len(names)
        for index, name in enumerate(names):
            step, quality = name.replace("6_9", "6/9").split(":")
            start = bar * BEATS_PER_BAR + index * share
            root = (tonic + int(step)) % 12
            chords.append(Chord(root, quality, start, share, is_home=root == tonic))
    return tuple(chords)


def tonic_chord(key: Key, start_beats: float, duration_beats: float) -> Chord:
    """Return the chord that ends a piece in `key`."""
    return Chord(key.tonic, TONIC_QUALITY[key.mode], start_beats, duration_beats, True)


def voice(chord: Chord, previous: tuple[int, ...]) -> tuple[int, ...]:
    """Return four or five pitches for `chord`, the nearest in motion to `previous` (may be empty).

    Away from home a chord of five leaves out its fifth, which overtones supply anyway and which
    would pull the ear to the wrong key. Cost of a voicing: how far its voices move, how far the
    middle strays, and seconds, above all low ones.
    """
    intervals = QUALITIES[chord.quality]
    if len(intervals) > 4 and not chord.is_home:
        intervals = tuple(interval for interval in intervals if interval != 7)
    return _voice(chord.root, intervals, previous)


@cache
def _voice(root: int, intervals: tuple[int, ...], previous: tuple[int, ...]) -> tuple[int, ...]:
    classes = sorted({(root + interval) % 12 for interval in intervals})
    candidates: list[tuple[int, ...]] = []
    for first in range(len(classes)):
        stack = [classes[first]]
        for step in range(1, len(classes)):
            above = classes[(first + step) % len(classes)]
            stack.append(stack[-1] + (above - stack[-1]) % 12)
        for octave in range(3, 7):
            close = tuple(pitch + 12 * octave for pitch in stack)
            candidates.append(close)
            for dropped in range(1, len(close)):
                lowered = close[-dropped] - 12
                candidates.append(
                    tuple(sorted((*close[:-dropped], lowered, *close[len(close) - dropped + 1 :])))
                )
    inside = [c for c in candidates if VOICING_RANGE[0] <= c[0] and c[-1] <= VOICING_RANGE[1]]
    return min(inside, key=lambda pitches: _cost(pitches, previous))


def _cost(pitches: tuple[int, ...], previous: tuple[int, ...]) -> float:
    middle = sum(pitches) / len(pitches)
    cost = 0.6 * abs(middle - 63.0)
    for low, high in pairwise(pitches):
        # Seconds are mud below middle C and colour above it.
        cost += {1: 5.0, 2: 2.5}.get(high - low, 0.0) * (1.0 if low < 62 else 0.6)
    cost += 2.0 * (pitches[-1] - pitches[-2] == 1)
    if previous:
        moved = sum(min(abs(p - q) for q in previous) for p in pitches)
        cost += 0.8 * moved + 0.7 * abs(pitches[-1] - previous[-1])
    return cost
