"""Drum parts: patterns on a sixteenth grid, swing, human timing, fills.

A pattern is sixteen characters, a digit is a hit's strength and "." a rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lofi_runtime.synth.draws import chance, pick
from lofi_runtime.synth.score import BEATS_PER_BAR, Note, Section

STEP_BEATS = 0.25
DRUM_PITCHES = {
    "kick": 36,
    "soft kick": 35,
    "house kick": 36,
    "machine kick": 36,
    "808 kick": 35,
    "snare": 38,
    "machine snare": 38,
    "machine hat": 42,
    "rim": 37,
    "clap": 39,
    "brush": 40,
    "brush sweep": 25,
    "closed hat": 42,
    "pedal hat": 44,
    "open hat": 46,
    "ride": 51,
    "shaker": 70,
    "sleigh bells": 83,
    "bongo low": 61,
    "bongo high": 60,
}


@dataclass(frozen=True)
class Kit:
    """What a kit plays: for each drum, the patterns to choose from.

    Args:
        parts: drum -> patterns of one bar.
        swing: lowest and highest share of a step by which odd steps come late.
        eighth_swing: the same for odd eighths, for jazz.
        level: how loud the kit is, 0 to 1.
    """

    parts: dict[str, tuple[str, ...]]
    swing: tuple[float, float]
    eighth_swing: tuple[float, float] = (0.0, 0.0)
    level: float = 1.0


KITS = {
    "boom bap": Kit(
        {
            "kick": (
                "9.....5...8.....",
                "9..6......9.....",
                "9.....4..58.....",
                "9......6..9..4..",
                "9.5.......8.....",
            ),
            "snare": ("....9.......9...", "....9..2....9...", "....9....2..9..2"),
            "closed hat": ("7.4.6.4.7.4.6.4.", "7.4.6.427.4.6.4.", "7.5.6.4.724.6.5."),
        },
        (0.12, 0.34),
    ),
    "brushes": Kit(
        {
            "soft kick": ("7.......5.....3.", "7.....4...6.....", "6.......6......."),
            "brush": ("....7.......7...", "....7..2....7.3.", "....6.....2.7..."),
            "brush sweep": ("5...5...5...5...", "5.......5......."),
            "ride": ("6...5.3.6...5.3.", "5...5.4.5...5..."),
            "pedal hat": ("....5.......5...",),
        },
        (0.05, 0.15),
        (0.16, 0.3),
        0.85,
    ),
    "house": Kit(
        {
            "house kick": ("9...9...9...9...",),
            "clap": ("....7.......7...", "....7.......7..2"),
            "open hat": ("..6...6...6...6.",),
            "closed hat": ("3.2.3.2.3.2.3.2.", "32.232.232.232.2"),
        },
        (0.04, 0.16),
    ),
    "minimal": Kit(
        {
            "soft kick": ("7.........5.....", "7.......6.......", "7..............."),
            "rim": ("....6.......6...", "........6......."),
            "closed hat": ("4.2.4.2.4.2.4.2.", "4...3...4...3..."),
        },
        (0.08, 0.2),
        level=0.7,
    ),
}
KITS |= {
    "live": Kit(
        {
            "kick": ("9.....6..79.....", "9..7...7..8.....", "9......6.79..6.."),
            "snare": ("....9..3.2..9..3", "....9..2.3..9.2.", "....9.....2.9..4"),
            "closed hat": ("7.6.7.6.7.6.7...", "756.756.756.75.."),
            "open hat": ("..............6.", "......5.......6."),
        },
        (0.04, 0.14),
    ),
    "machine": Kit(
        {
            "machine kick": ("9.......9.......", "9.....7.9.......", "9..7....9.7....."),
            "machine snare": ("....9.......9...", "....9.......9..3"),
            "machine hat": ("7.5.7.5.7.5.7.5.", "7555755575557555"),
            "clap": ("....5.......5...", "............5..."),
        },
        (0.0, 0.06),
        level=0.9,
    ),
    "trap": Kit(
        {
            "808 kick": ("9..........6....", "9......6.......5", "9........5......"),
            "machine snare": ("........9.......",),
            "machine hat": ("7.5.7.5.7.5.7755", "7.5.7.555.5.7.55", "7.5.7555.7.5.777"),
            "rim": ("...........4....", "......4........."),
        },
        (0.0, 0.1),
        level=0.9,
    ),
}
HAND_PARTS = {
    "sleigh bells": {"sleigh bells": ("6.3.5.3.6.3.5.3.", "6...4...6...4...")},
    "bongos": {
        "bongo high": ("6.3..4.36.3..4..", "5..4..3.5..4.3.."),
        "bongo low": ("....6..3....6.5.", "......6.......63"),
    },
    "shaker": {"shaker": ("5353535353535353", "4.5.4.5.4.5.4.5.")},
}
_FILLS = {
    "snare": ("............5.67", ".........4..6.68"),
    "brush": ("............4.56", "..........3.4.56"),
    "rim": ("..........4...5.", "............4..5"),
    "clap": ("............5.6.", "..............67"),
    "machine snare": ("............5.5.", ".............567"),
}


@dataclass(frozen=True)
class Groove:
    """The timing that every player of a piece shares.

    Args:
        swing: share of a step by which odd sixteenths come late.
        eighth_swing: share of a beat by which odd eighths come late.
        looseness_beats: standard deviation of each hit's own error.
    """

    swing: float
    eighth_swing: float
    looseness_beats: float

    def place(self, beats: float, rng: np.random.Generator) -> float:
        """Return where a note written at `beats` is played; never before the track's start."""
        step = round(beats / STEP_BEATS)
        late = 0.0
        if abs(beats / STEP_BEATS - step) < 1e-6:
            late = self.swing * STEP_BEATS * (step % 2)
            if step % 4 in (2, 3):
                late += self.eighth_swing * (1.0 if step % 4 == 2 else 0.5)
        error = float(np.clip(rng.normal(0.0, 1.0), -2.0, 2.0)) * self.looseness_beats
        return max(0.0, beats + late + error)


SWUNG = (0.2, 0.32)
"""The eighth swing of a piece that asks for it."""


def choose_groove(
    kit: str, tempo_bpm: float, rng: np.random.Generator, sounds: tuple[str, ...] = ()
) -> Groove:
    """Return the swing of `kit` ("" for none) and human error of about 5 ms at this tempo.

    "swing rhythm" among `sounds` swings the eighths, "steady rhythm" halves swing and error.
    """
    chosen = KITS[kit or "minimal"]
    steady = 0.5 if "steady rhythm" in sounds else 1.0
    swing, eighths = rng.uniform(*chosen.swing), rng.uniform(*chosen.eighth_swing)
    if "swing rhythm" in sounds:
        eighths = rng.uniform(*SWUNG)
    return Groove(float(swing) * steady, float(eighths), steady * 0.005 * tempo_bpm / 60.0)


def drum_part(
    kit: str,
    percussion: tuple[str, ...],
    sections: tuple[Section, ...],
    groove: Groove,
    rng: np.random.Generator,
    *,
    steady: bool = False,
) -> tuple[Note, ...]:
    """Return every hit of the track: silent in breaks and outros, hats alone in an intro.

    Args:
        kit: a name of `KITS`, or "".
        percussion: names of `HAND_PARTS`.
        sections: the form.
        groove: the timing.
        rng: chooses patterns, fills and ghost notes.
        steady: whether to leave out fills and ghost notes' comings and goings.
    """
    chosen = (
        {drum: pick(rng, patterns) for drum, patterns in KITS[kit].parts.items()} if kit else {}
    )
    for name in percussion:
        chosen |= {drum: pick(rng, patterns) for drum, patterns in HAND_PARTS[name].items()}
    level = KITS[kit].level if kit else 0.8
    notes = [
        _hit(drum, beats, strength * level, groove, rng)
        for section in sections
        for drum, beats, strength in _section_hits(section, chosen, rng, steady)
    ]
    return tuple(sorted(notes, key=lambda note: note.start_beats))


_QUIET = {
    "intro": ("closed hat", "machine hat", "shaker", "ride", "sleigh bells"),
    "break": ("closed hat", "machine hat", "ride", "sleigh bells"),
}
_LATE_BEATS = {"snare": 0.022, "machine snare": 0.004, "brush": 0.02, "clap": 0.008, "rim": 0.016}


def _section_hits(
    section: Section, chosen: dict[str, str], rng: np.random.Generator, steady: bool
) -> Iterator[tuple[str, float, float]]:
    if section.name in ("outro", "end"):
        return
    allowed = _QUIET.get(section.name, tuple(chosen))
    fill_bar = section.start_bar + section.bars - 1
    for bar in range(section.start_bar, section.start_bar + section.bars):
        is_fill = bar == fill_bar and section.bars >= 4 and section.name not in _QUIET
        is_fill = is_fill and not steady
        rest_kick = bar % 8 == 7 and chance(rng, 0.4) and not steady
        for drum, pattern in chosen.items():
            if drum not in allowed:
                continue
            played = pick(rng, _FILLS[drum]) if is_fill and drum in _FILLS else ""
            for step, mark in enumerate(_overlaid(pattern, played)):
                if mark == "." or (rest_kick and drum == "kick" and step > 8):
                    continue
                if int(mark) <= 2 and not steady and chance(rng, 0.35):
                    continue  # ghost notes come and go
                yield drum, bar * BEATS_PER_BAR + step * STEP_BEATS, int(mark) / 9.0


def _overlaid(pattern: str, fill: str) -> str:
    if not fill:
        return pattern
    return "".join(
        mark if extra == "." else extra for mark, extra in zip(pattern, fill, strict=True)
    )


def _hit(
    drum: str, beats: float, strength: float, groove: Groove, rng: np.random.Generator
) -> Note:
    start = groove.place(beats, rng) + _LATE_BEATS.get(drum, 0.0)
    velocity = float(np.clip(strength * rng.normal(1.0, 0.08), 0.05, 1.0))
    return Note(start, 0.25, DRUM_PITCHES[drum], velocity, drum)
