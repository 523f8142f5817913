"""Compose: words and a seed in, a `Score` out. No sound is made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lofi_runtime.synth import parts
from lofi_runtime.synth.arrangement import (
    LEAD_RANGES,
    Roles,
    assign_roles,
    choose_sections,
    choose_sound,
    choose_textures,
    total_bars,
)
from lofi_runtime.synth.defaults import expand
from lofi_runtime.synth.draws import generator, pick
from lofi_runtime.synth.harmony import Chord, choose_key, choose_progression, tonic_chord
from lofi_runtime.synth.melody import Motif, choose_motif, write_phrase
from lofi_runtime.synth.rhythm import Groove, choose_groove, drum_part
from lofi_runtime.synth.score import BEATS_PER_BAR, Key, Note, Score, Section
from lofi_runtime.synth.words import TEMPO_LIMITS_BPM, Wishes

_LEAD_SECTIONS = ("A", "B", "C")


def compose(prompt: str, *, seed: int, duration_sec: float, style: str = "") -> Score:
    """Return a score for `prompt`; the same arguments always give an equal one.

    Args:
        prompt: tags or plain words in any language; what is not understood only shapes chance.
        seed: 0 or more; another seed is another piece within the same wishes.
        duration_sec: length of the track.
        style: one of the 38 style ids as defaults below the prompt, or ""; an unknown id counts
            as "".

    Raises:
        ValueError: `duration_sec` is not a positive number, or `seed` is negative.
    """
    if not 0.0 < duration_sec < float("inf"):
        raise ValueError(f"duration_sec is {duration_sec}; it must be above 0")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    wishes = expand(prompt, style)
    return _Composer(wishes, (prompt, style, seed), duration_sec).score()


class _Composer:
    """Holds what every part of one piece shares: key, tempo, groove, players, themes."""

    def __init__(self, wishes: Wishes, name: tuple[str, str, int], duration_sec: float) -> None:
        self.name = name
        self.duration_sec = duration_sec
        self.wishes = wishes
        self.tempo_bpm = _tempo(wishes, self.rng("tempo"))
        self.key: Key = choose_key(wishes, self.rng("key"))
        self.roles: Roles = assign_roles(wishes, self.rng("roles"))
        self.groove: Groove = choose_groove(
            self.roles.kit, self.tempo_bpm, self.rng("groove"), wishes.sounds
        )
        bars, ring = total_bars(duration_sec, self.tempo_bpm)
        self.sections = choose_sections(bars, ring=ring)
        self.motif: Motif = choose_motif(self.rng("motif"), sparse=self.roles.calm)

    def rng(self, *purpose: str | int) -> np.random.Generator:
        return generator(*self.name, *purpose)

    def score(self) -> Score:
        end_beats = self.duration_sec * self.tempo_bpm / 60.0
        written = [*self.drums(), *self.pitched()]
        notes = sorted(
            (
                replace(n, duration_beats=min(n.duration_beats, end_beats - n.start_beats))
                for n in written
                if n.start_beats < end_beats - 0.05
            ),
            key=lambda n: (n.start_beats, n.instrument, n.pitch),
        )
        played = dict.fromkeys(
            name
            for name in (*self.roles.leads, *self.roles.keys, *self.roles.pads, self.roles.bass)
            if any(note.instrument == name for note in notes)
        )
        return Score(
            tempo_bpm=self.tempo_bpm,
            key=self.key,
            genre=self.wishes.genre or "lofi hip hop",
            moods=self.wishes.moods or (pick(self.rng("mood"), ("chill", "relaxing", "dreamy")),),
            style=self.name[1],
            seed=self.name[2],
            duration_sec=self.duration_sec,
            notes=tuple(notes),
            sections=self.sections,
            instruments=tuple(played),
            kit=self.roles.kit,
            textures=choose_textures(self.wishes),
            themes=self.wishes.themes,
            sound=choose_sound(self.wishes, self.rng("sound")),
            chords=self.roles.flavour.chords,
            sounds=self.wishes.sounds,
        )

    def drums(self) -> tuple[Note, ...]:
        if not self.roles.kit and not self.roles.percussion:
            return ()
        return drum_part(
            self.roles.kit,
            self.roles.percussion,
            self.sections,
            self.groove,
            self.rng("drums"),
            steady="steady rhythm" in self.wishes.sounds,
        )

    def pitched(self) -> Iterator[Note]:
        voicing: tuple[int, ...] = ()
        seen: dict[str, int] = {}
        for section in self.sections:
            occurrence = seen.get(section.name, 0)
            seen[section.name] = occurrence + 1
            chords = self.chords(section)
            players = parts.Players(self.roles, self.groove, self.roles.flavour, self.rng)
            notes, voicing = players.accompany(section, chords, voicing)
            yield from notes
            if section.name in _LEAD_SECTIONS and self.roles.leads:
                yield from self.lead(section, chords, occurrence)

    def chords(self, section: Section) -> tuple[Chord, ...]:
        """Return the section's chords in the track's time; each theme keeps its progression."""
        start = float(section.start_bar * BEATS_PER_BAR)
        length = float(section.bars * BEATS_PER_BAR)
        if section.name == "end":
            return (tonic_chord(self.key, start, length),)
        theme = section.name if section.name in ("B", "C") else "A"
        pattern = choose_progression(
            self.key,
            self.rng("chords", theme),
            home=theme != "B",
            flavour=self.roles.flavour.chords,
        )
        stretch = 2.0 if self.wishes.genre == "ambient lofi" else 1.0
        period = stretch * (pattern[-1].start_beats + pattern[-1].duration_beats)
        chords = []
        for repeat in range(int(length // period) + 1):
            for chord in pattern:
                begin = repeat * period + chord.start_beats * stretch
                held = min(chord.duration_beats * stretch, length - begin)
                if held > 0.0:
                    chords.append(replace(chord, start_beats=start + begin, duration_beats=held))
        return tuple(chords)

    def lead(self, section: Section, chords: tuple[Chord, ...], occurrence: int) -> Iterator[Note]:
        """Yield the melody; a theme returns with the same notes, played a little differently."""
        leads = self.roles.leads
        start = section.start_bar * BEATS_PER_BAR
        local = tuple(replace(c, start_beats=c.start_beats - start) for c in chords)
        rng = self.rng("melody", section.name, occurrence // 2)
        feel = self.rng("feel", section.start_bar)
        first, turns = self.turns(section, occurrence)
        voice_range = LEAD_RANGES[leads[first % len(leads)]]
        for note in write_phrase(self.motif, self.key, local, section.bars, voice_range, rng):
            turn = int(note.start_beats * turns / (section.bars * BEATS_PER_BAR))
            player = leads[(first + turn) % len(leads)]
            pitch = parts.fit(note.pitch, LEAD_RANGES[player])
            begin = self.groove.place(start + note.start_beats, feel)
            held = note.duration_beats * (0.8 if player == "chopped vocals" else 0.95)
            yield Note(begin + 0.01, held, pitch, note.velocity, player)

    def turns(self, section: Section, occurrence: int) -> tuple[int, int]:
        """Return which lead begins a section, and between how many it is shared.

        In a short piece every lead gets a turn; in a long one themes keep their player.
        """
        leads = len(self.roles.leads)
        sung = [s for s in self.sections if s.name in _LEAD_SECTIONS]
        shared = -(-leads // len(sung))
        if section.bars < 8 and leads > 1:
            shared = max(shared, 2)
        first = 0 if section.name == "A" else 1
        if shared > 1:
            first = sung.index(section) * shared
        return first + occurrence // 2, shared


def _tempo(wishes: Wishes, rng: np.random.Generator) -> float:
    low, high = wishes.tempo_bpm or (72.0, 86.0)
    if low == high:
        return low
    # Whole numbers: a label says "78 bpm" and means it.
    tempo = float(rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1))
    return min(max(tempo, TEMPO_LIMITS_BPM[0]), TEMPO_LIMITS_BPM[1])
