"""Who plays what: instruments to roles, the form of the track, the sound of the tape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lofi_runtime.synth.draws import pick
from lofi_runtime.synth.score import BEATS_PER_BAR, Section, Sound
from lofi_runtime.synth.words import Wishes

PADS = ("synth pads", "strings")
BASSES = ("bass guitar", "upright bass", "sub bass")
KEYS = (
    *("piano", "rhodes", "wurlitzer", "organ", "acoustic guitar", "electric guitar", "harp"),
    *("kalimba", "vibraphone"),
)
LEAD_RANGES: dict[str, tuple[int, int]] = {
    "piano": (67, 84),
    "rhodes": (67, 84),
    "wurlitzer": (65, 81),
    "organ": (65, 81),
    "acoustic guitar": (62, 79),
    "electric guitar": (62, 79),
    "harp": (67, 86),
    "kalimba": (67, 86),
    "vibraphone": (67, 84),
    "saxophone": (58, 74),
    "flute": (72, 89),
    "clarinet": (62, 79),
    "trumpet": (62, 77),
    "strings": (67, 84),
    "synth pads": (67, 81),
    "bells": (76, 93),
    "music box": (76, 93),
    "chiptune lead": (67, 84),
    "humming": (62, 76),
    "chopped vocals": (62, 77),
}
_DEFAULT_BASS = {
    "jazz lofi": "upright bass",
    "lofi house": "sub bass",
    "dark lofi": "sub bass",
    "ambient lofi": "sub bass",
}
_CALM = frozenset(("sleepy", "peaceful", "ethereal", "serene", "relaxing", "focused"))


@dataclass(frozen=True)
class Roles:
    """The players; an empty name or tuple means that nobody plays the role.

    Args:
        keys: chords; the first comps, the others answer or arpeggiate.
        pads: long chords.
        leads: melody, taking turns.
        bass: one bass.
        kit: a name of `rhythm.KITS`.
        percussion: names of `rhythm.HAND_PARTS`.
        calm: whether melody and bass should be sparse.
    """

    keys: tuple[str, ...]
    pads: tuple[str, ...]
    leads: tuple[str, ...]
    bass: str
    kit: str
    percussion: tuple[str, ...]
    calm: bool


def assign_roles(wishes: Wishes, rng: np.random.Generator) -> Roles:
    """Return the players; refused instruments never play, missing ones are filled in."""
    asked = wishes.instruments
    keys = [name for name in asked if name in KEYS]
    pads = [name for name in asked if name in PADS]
    leads = [name for name in asked if name not in (*KEYS, *PADS, *BASSES)]
    basses = [name for name in asked if name in BASSES]
    filler = pick(rng, ("rhodes", "rhodes", "piano"))
    if not keys and not pads:
        keys = [n for n in (filler, "rhodes", "piano", "organ") if n not in wishes.refused][:1]
    if not keys and not pads:
        pads = ["synth pads"]
    if not leads and "melody" not in wishes.refused:
        leads = keys[1:2] or keys[:1] or pads[:1]
        keys = [keys[0], *keys[2:]] if keys else []
    if "melody" in wishes.refused:
        leads = []
    bass = "" if "bass" in wishes.refused else _bass(wishes, basses)
    return Roles(
        tuple(keys),
        tuple(pads),
        tuple(leads),
        bass,
        _kit(wishes, rng),
        wishes.percussion,
        wishes.genre == "ambient lofi" or not _CALM.isdisjoint(wishes.moods[:1]),
    )


def _bass(wishes: Wishes, asked: list[str]) -> str:
    wanted = [*asked, _DEFAULT_BASS.get(wishes.genre or "", "bass guitar"), *BASSES]
    return next((name for name in wanted if name not in wishes.refused), "")


def _kit(wishes: Wishes, rng: np.random.Generator) -> str:
    if "drums" in wishes.refused:
        return ""
    if wishes.kit in ("any", None):
        if "sleepy" in wishes.moods:
            return "minimal"
        kits = ("boom bap", "boom bap", "boom bap", "brushes")
        return pick(rng, [kit for kit in kits if kit not in wishes.refused] or ["minimal"])
    return str(wishes.kit)


def choose_sections(bars: int, *, ring: bool) -> tuple[Section, ...]:
    """Return the form of `bars` bars: intro, themes in blocks of eight, a break, outro, end.

    Args:
        bars: length of the piece in full bars.
        ring: whether a further, partial bar follows for the last chord; else it takes the last
            full one.
    """
    body = bars if ring else bars - 1
    names: list[tuple[str, int]] = []
    if body < 7:
        names = [("A", body)]
    elif body < 16:
        first = 4 if body < 12 else 8
        names = [("intro", 1), ("A", first), ("B", body - first - 1)]
    else:
        intro = 2 if body < 24 else 4
        names = [("intro", intro), *_middle(body - intro - 2), ("outro", 2)]
    sections, start = [], 0
    for name, length in (*((n, b) for n, b in names if b > 0), ("end", 1)):
        sections.append(Section(name, start, length))
        start += length
    return tuple(sections)


def _middle(bars: int) -> list[tuple[str, int]]:
    cycle = ("A", "B", "A", "break", "B", "A", "C", "break")
    blocks: list[tuple[str, int]] = []
    while bars > 0:
        name = cycle[len(blocks) % len(cycle)]
        length = min(4 if name == "break" else 8, bars)
        if bars - length < 4 or (name == "break" and bars < 16):
            name, length = ("A" if name == "break" else name), bars
        blocks.append((name, length))
        bars -= length
    return blocks


def total_bars(duration_sec: float, tempo_bpm: float) -> tuple[int, bool]:
    """Return the full bars that fit, and whether what is left is long enough to ring in."""
    beats = duration_sec * tempo_bpm / 60.0
    bars = int(beats // BEATS_PER_BAR)
    return max(bars, 1), beats - bars * BEATS_PER_BAR >= 2.0 or bars < 2


def choose_sound(wishes: Wishes, rng: np.random.Generator) -> Sound:
    """Return tape and room, from mood words and sound words."""
    cutoff_hz = float(rng.uniform(7000.0, 9000.0))
    reverb_share, reverb_sec = 0.16, 1.3
    moods = set(wishes.moods)
    if moods & {"dark", "melancholic", "moody", "sleepy", "warm", "lonely"}:
        cutoff_hz *= 0.75
    if moods & {"happy", "upbeat", "festive", "hopeful"}:
        cutoff_hz *= 1.25
    if moods & {"dreamy", "ethereal", "serene"} or "reverb" in wishes.sounds:
        reverb_share, reverb_sec = 0.32, 2.4
    if "filtered" in wishes.sounds:
        cutoff_hz *= 0.6
    if "clean" in wishes.sounds:
        cutoff_hz *= 1.5
    if "dry" in wishes.sounds or "reverb" in wishes.refused:
        reverb_share, reverb_sec = 0.06, 0.7
    wow_cents = float(rng.uniform(3.0, 6.0)) * (2.5 if "wobbly" in wishes.sounds else 1.0)
    return Sound(
        cutoff_hz=cutoff_hz,
        drive=1.2 if "clean" in wishes.sounds else float(rng.uniform(1.5, 2.1)),
        wow_cents=0.0 if "wobbly" in wishes.refused else wow_cents,
        reverb_share=reverb_share,
        reverb_sec=reverb_sec,
        duck=0.5 if "pumping" in wishes.sounds else 0.22,
    )


TEXTURE_LEVELS_DB = {
    "rain": -15.0,
    "vinyl crackle": -24.0,
    "tape hiss": -34.0,
    "ocean": -17.0,
    "forest": -24.0,
    "cafe": -23.0,
    "night": -29.0,
    "fireplace": -23.0,
    "wind": -23.0,
    "city": -25.0,
}


def choose_textures(wishes: Wishes) -> tuple[tuple[str, float], ...]:
    """Return at most three textures with their levels, first asked first."""
    return tuple((name, TEXTURE_LEVELS_DB[name]) for name in wishes.textures[:3])
