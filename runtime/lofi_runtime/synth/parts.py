"""The accompaniment: comping, arpeggios, pads and bass over a section's chords."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lofi_runtime.synth.arrangement import Roles
from lofi_runtime.synth.draws import pick
from lofi_runtime.synth.flavour import HELD, LONG_BASS, BassLine, Comp, Flavour
from lofi_runtime.synth.harmony import QUALITIES, Chord, voice
from lofi_runtime.synth.rhythm import Groove
from lofi_runtime.synth.score import Note, Section

Streams = Callable[..., np.random.Generator]

BASS_RANGE = (29, 43)

_PLUCKED = ("acoustic guitar", "harp", "kalimba", "vibraphone", "koto", "marimba", "synth arpeggio")
_CHOPPED = ("clavinet", "muted guitar", "synth stabs", "ukulele")
"""Those that answer a first keyboard with a rhythm, not with an arpeggio."""
_CHOPS = (
    ((0.5, 0.3), (1.5, 0.3), (2.5, 0.3), (3.5, 0.3)),
    ((0.5, 0.25), (1.25, 0.25), (2.5, 0.3), (3.25, 0.25)),
    ((1.0, 0.4), (2.5, 0.3), (3.0, 0.4)),
)
_STRUM_BEATS = {
    "acoustic guitar": 0.022,
    "electric guitar": 0.02,
    "ukulele": 0.03,
    "harp": 0.05,
    "koto": 0.04,
    "piano": 0.007,
}
_DRONE_RANGE = (36, 47)


def fit(pitch: int, pitch_range: tuple[int, int]) -> int:
    """Return `pitch` moved by octaves into `pitch_range`, which spans at least an octave."""
    low, high = pitch_range
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


class Players:
    """Writes what the rhythm section plays, one section at a time.

    Args:
        roles: who plays.
        groove: shared timing.
        flavour: whose rhythms to play.
        rng: gives the stream for a purpose.
    """

    def __init__(self, roles: Roles, groove: Groove, flavour: Flavour, rng: Streams) -> None:
        self.roles = roles
        self.groove = groove
        self.flavour = flavour
        self.rng = rng

    def accompany(
        self, section: Section, chords: tuple[Chord, ...], voicing: tuple[int, ...]
    ) -> tuple[list[Note], tuple[int, ...]]:
        """Return the notes of a section and its last voicing, to lead on from."""
        notes: list[Note] = []
        feel = self.rng("accompany", section.start_bar)
        for index, chord in enumerate(chords):
            voicing = voice(chord, voicing)
            following = chords[(index + 1) % len(chords)]
            for place, name in enumerate(self.roles.keys):
                notes.extend(self._keys(section, chord, voicing, name, place, feel))
            for name in self._pads(section):
                notes.extend(self._pad(chord, voicing, name, section, feel))
            if self.roles.bass and section.name not in ("intro", "break"):
                notes.extend(self._bass(section, chord, following, feel))
        return notes, voicing

    def _keys(
        self,
        section: Section,
        chord: Chord,
        voicing: tuple[int, ...],
        name: str,
        place: int,
        feel: np.random.Generator,
    ) -> Iterator[Note]:
        if section.name == "end" or (place == 0 and section.name in ("outro", "break")):
            yield from self._chord(chord, voicing, name, HELD, 0.58, feel)
        elif place > 0 or name in _PLUCKED:
            if place > 0 and section.name in ("intro", "outro", "break"):
                return
            if name in _CHOPPED:
                chops = pick(self.rng("chops", name), _CHOPS)
                yield from self._chord(chord, voicing[-3:], name, chops, 0.5, feel)
                return
            yield from self._arpeggio(chord, voicing, name, 0.5 if place == 0 else 0.42, feel)
        else:
            hits = self._comp(section.name)
            yield from self._chord(chord, voicing, name, hits, 0.55, feel)

    def _comp(self, section_name: str) -> Comp:
        if self.roles.calm:
            return HELD
        return pick(self.rng("comp", section_name), self.flavour.comps)

    def _chord(
        self,
        chord: Chord,
        voicing: tuple[int, ...],
        name: str,
        hits: Comp,
        strength: float,
        feel: np.random.Generator,
    ) -> Iterator[Note]:
        strum = _STRUM_BEATS.get(name, 0.004)
        for offset, length in hits:
            if offset >= chord.duration_beats - 0.25:
                continue
            # A held hit lasts as long as its chord, however long the bar.
            held = chord.duration_beats - offset
            if hits is not HELD:
                held = min(length, held)
            start = self.groove.place(chord.start_beats + offset, feel)
            accent = strength * (1.0 if offset == 0.0 else 0.86) * float(feel.normal(1.0, 0.05))
            for rank, pitch in enumerate(voicing):
                top = 1.1 if pitch == voicing[-1] else 0.95
                velocity = float(np.clip(accent * top, 0.1, 1.0))
                yield Note(start + rank * strum, held * 0.97, pitch, velocity, name)

    def _arpeggio(
        self,
        chord: Chord,
        voicing: tuple[int, ...],
        name: str,
        strength: float,
        feel: np.random.Generator,
    ) -> Iterator[Note]:
        shapes = ((0, 2, 1, 3, 2, 1, 3, 2), (0, 1, 2, 3, 2, 1, 2, 1), (0, 1, 2, -1, 3, -1, 2, -1))
        shape = pick(self.rng("arpeggio", name), shapes)
        step_beats = 1.0 if self.roles.calm else 0.5
        if name == "synth arpeggio":
            step_beats *= 0.5
        steps = int(chord.duration_beats / step_beats)
        for step in range(steps):
            rank = shape[step % len(shape)]
            if rank < 0:
                continue
            pitch = voicing[rank % len(voicing)]
            start = self.groove.place(chord.start_beats + step * step_beats, feel)
            velocity = strength * (1.12 if step % 4 == 0 else 0.95) * float(feel.normal(1.0, 0.06))
            yield Note(start, 2.0 * step_beats, pitch, float(np.clip(velocity, 0.1, 1.0)), name)

    def _pads(self, section: Section) -> tuple[str, ...]:
        pads = self.roles.pads
        if len(pads) < 2 or section.name in ("B", "C", "end"):
            return pads
        return pads[:1]

    def _pad(
        self,
        chord: Chord,
        voicing: tuple[int, ...],
        name: str,
        section: Section,
        feel: np.random.Generator,
    ) -> Iterator[Note]:
        if name == "textured drones":
            root = fit(chord.root + 36, _DRONE_RANGE)
            yield Note(chord.start_beats, chord.duration_beats, root, 0.5, name)
            yield Note(chord.start_beats, chord.duration_beats, root + 7, 0.36, name)
            return
        strength = 0.62 if not self.roles.keys or section.name in ("intro", "break") else 0.45
        for pitch in voicing:
            velocity = strength * float(feel.normal(1.0, 0.03))
            yield Note(chord.start_beats, chord.duration_beats, pitch, velocity, name)

    def _bass(
        self, section: Section, chord: Chord, following: Chord, feel: np.random.Generator
    ) -> Iterator[Note]:
        root = fit(chord.root + 36, BASS_RANGE)
        for offset, length, degree in self._bass_line(section.name):
            if offset >= chord.duration_beats:
                continue
            pitch = _bass_pitch(root, degree, chord, following)
            if section.name in ("end", "outro") or self.roles.calm:
                length = chord.duration_beats
            held = min(length, chord.duration_beats - offset)
            start = self.groove.place(chord.start_beats + offset, feel)
            strength = 0.55 if self.roles.calm else 0.78
            accent = strength * (1.0 if degree == "root" else 0.82) * float(feel.normal(1.0, 0.05))
            velocity = float(np.clip(accent, 0.1, 1.0))
            yield Note(start + 0.01, held * 0.96, pitch, velocity, self.roles.bass)

    def _bass_line(self, section_name: str) -> BassLine:
        if section_name in ("end", "outro") or self.roles.calm:
            return LONG_BASS
        return pick(self.rng("bass", section_name), self.flavour.bass)


def _bass_pitch(root: int, degree: str, chord: Chord, following: Chord) -> int:
    intervals = QUALITIES[chord.quality]
    third, fifth = intervals[1], 6 if 6 in intervals else 7
    if degree == "octave":
        return root + 12
    if degree == "fifth":
        return root + fifth if root + fifth <= BASS_RANGE[1] + 4 else root + fifth - 12
    if degree == "third":
        return root + third
    if degree == "lead in":
        target = fit(following.root + 36, BASS_RANGE)
        return target - 1 if target > BASS_RANGE[0] and target <= root else target + 1
    return root
