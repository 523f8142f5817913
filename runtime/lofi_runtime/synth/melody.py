"""A lead line out of one motif: stated, varied, moved, and brought home.

A phrase is eight bars: motif, motif with another end, motif moved by a step, cadence. The motif
stays the same through the piece; only its variations are new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lofi_runtime.synth.draws import chance, pick
from lofi_runtime.synth.harmony import SCALES, Chord
from lofi_runtime.synth.score import BEATS_PER_BAR, Key

CELL_BEATS = 2 * BEATS_PER_BAR

_RHYTHMS = (
    ((0.0, 1.0), (1.0, 0.5), (1.5, 1.5), (4.5, 0.5), (5.0, 2.0)),
    ((0.5, 0.5), (1.0, 0.5), (1.5, 1.0), (3.0, 2.5)),
    ((0.0, 1.5), (1.5, 0.5), (2.0, 1.5), (4.0, 3.0)),
    ((1.0, 0.5), (1.5, 0.5), (2.0, 0.75), (2.75, 0.75), (3.5, 2.0), (6.0, 1.0)),
    ((0.0, 0.5), (0.75, 0.5), (1.5, 1.5), (3.5, 0.5), (4.0, 2.0)),
    ((2.0, 0.5), (2.5, 0.5), (3.0, 1.0), (4.0, 1.5), (5.5, 1.5)),
)
_SPARSE = (((0.0, 3.0), (4.0, 3.0)), ((1.0, 2.0), (3.0, 4.0)), ((0.0, 2.0), (2.5, 3.5)))
_PENTATONIC = {True: (0, 3, 5, 7, 10), False: (0, 2, 4, 7, 9)}


@dataclass(frozen=True)
class Motif:
    """A short idea.

    Args:
        rhythm: (start, duration) pairs in beats within two bars.
        contour: for each, a distance in scale steps from the phrase's starting note.
    """

    rhythm: tuple[tuple[float, float], ...]
    contour: tuple[int, ...]


@dataclass(frozen=True)
class LeadNote:
    """One note of a melody, in written time."""

    start_beats: float
    duration_beats: float
    pitch: int
    velocity: float


def choose_motif(rng: np.random.Generator, *, sparse: bool) -> Motif:
    """Return a motif that moves mostly by step and turns back after a leap."""
    rhythm = pick(rng, _SPARSE if sparse else _RHYTHMS)
    contour, step = [0], 0
    for _ in rhythm[1:]:
        leaps = (-2, -1, -1, 1, 1, 2) if abs(step) < 3 else ((-2, -1) if step > 0 else (1, 2))
        step += pick(rng, leaps)
        contour.append(step)
    return Motif(rhythm, tuple(contour))


def write_phrase(
    motif: Motif,
    key: Key,
    chords: tuple[Chord, ...],
    bars: int,
    pitch_range: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[LeadNote, ...]:
    """Return a melody over `bars` bars of `chords` (repeated as needed), from beat 0.

    Strong notes land on chord tones, the others on the key's pentatonic; the last cell comes to
    rest on the tonic or its fifth.
    """
    ladder = _ladder(key, pitch_range)
    resting = {key.tonic, (key.tonic + 7) % 12}
    middle = sum(pitch_range) / 2
    # A phrase starts from the tonic or the fifth nearest to the middle of the range.
    homes = [abs(p - middle) + (0 if p % 12 in resting else 12) for p in ladder]
    home = int(np.argmin(homes))
    notes: list[LeadNote] = []
    cells = max(1, bars * BEATS_PER_BAR // CELL_BEATS)
    for cell in range(cells):
        is_last = cell == cells - 1
        if not is_last and cell % 4 == 3 and chance(rng, 0.5):
            continue  # room to breathe
        shift = (0, 0, pick(rng, (-1, 1, 2)), 0)[cell % 4]
        for start, duration, step in _varied(motif, cell, rng):
            beats = cell * CELL_BEATS + start
            if beats + duration > bars * BEATS_PER_BAR:
                continue
            pitch = ladder[_within(home + shift + step, len(ladder))]
            if start % 1.0 == 0.0 or duration >= 1.0:
                pitch = _nearest(pitch, _chord_at(chords, beats).pitch_classes[1:])
            velocity = float(np.clip(rng.normal(0.66, 0.07) + 0.06 * (start == 0.0), 0.35, 0.95))
            notes.append(LeadNote(beats, duration, pitch, velocity))
    return _cadence(tuple(notes), key, _chord_at(chords, bars * BEATS_PER_BAR - 2.0))


def _varied(motif: Motif, cell: int, rng: np.random.Generator) -> list[tuple[float, float, int]]:
    """Return the motif's notes; from its second statement on, the end changes."""
    notes = [(s, d, c) for (s, d), c in zip(motif.rhythm, motif.contour, strict=True)]
    if cell == 0 or len(notes) < 3:
        return notes
    keep = len(notes) - int(rng.integers(1, 3))
    varied = [
        (start, duration, step + (pick(rng, (-1, 0, 1, 2)) if index >= keep else 0))
        for index, (start, duration, step) in enumerate(notes)
    ]
    if chance(rng, 0.3):
        varied.pop(int(rng.integers(1, len(varied))))
    return varied


def _cadence(notes: tuple[LeadNote, ...], key: Key, chord: Chord) -> tuple[LeadNote, ...]:
    if not notes:
        return notes
    resting = [pc for pc in (key.tonic, (key.tonic + 7) % 12) if pc in chord.pitch_classes]
    last = notes[-1]
    pitch = _nearest(last.pitch, tuple(resting) or chord.pitch_classes)
    return (*notes[:-1], LeadNote(last.start_beats, last.duration_beats, pitch, last.velocity))


def _ladder(key: Key, pitch_range: tuple[int, int]) -> tuple[int, ...]:
    steps: tuple[int, ...] = _PENTATONIC[key.is_minor]
    if key.mode not in ("major", "minor", "pentatonic"):
        steps = SCALES[key.mode]  # the mode lives in the notes a pentatonic leaves out
    low, high = pitch_range
    return tuple(p for p in range(low, high + 1) if (p - key.tonic) % 12 in steps)


def _within(index: int, length: int) -> int:
    return min(max(index, 0), length - 1)


def _nearest(pitch: int, classes: tuple[int, ...]) -> int:
    return min(
        (p for p in range(pitch - 6, pitch + 7) if p % 12 in classes),
        key=lambda p: (abs(p - pitch), p),
    )


def _chord_at(chords: tuple[Chord, ...], beats: float) -> Chord:
    length = chords[-1].start_beats + chords[-1].duration_beats
    within = beats % length
    return next(c for c in reversed(chords) if c.start_beats <= within + 1e-9)
