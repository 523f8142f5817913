"""Who plays what: instruments to roles, the form of the track, the sound of the tape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lofi_runtime.synth.draws import pick
from lofi_runtime.synth.flavour import FLAVOURS, Flavour, choose_flavour
from lofi_runtime.synth.score import BEATS_PER_BAR, Section, Sound
from lofi_runtime.synth.vocabulary import BASSES, PADS
from lofi_runtime.synth.words import Wishes

KEYS = (
    *("piano", "rhodes", "wurlitzer", "organ", "acoustic guitar", "electric guitar", "harp"),
    *("kalimba", "vibraphone", "koto", "marimba", "clavinet", "casio keyboard", "ukulele"),
    *("muted guitar", "synth stabs", "synth arpeggio"),
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
    "female vocals": (64, 78),
    "male vocals": (50, 65),
    "choir": (62, 76),
    "murmur": (44, 55),
    "koto": (62, 81),
    "ukulele": (65, 81),
    "muted guitar": (59, 76),
    "clavinet": (60, 77),
    "casio keyboard": (67, 84),
    "marimba": (62, 81),
    "steel drums": (65, 82),
    "celesta": (76, 93),
    "analog synth": (64, 81),
    "synth arpeggio": (67, 84),
    "synth stabs": (62, 79),
    "textured drones": (48, 60),
    "theremin": (67, 84),
    "violin": (67, 86),
    "cello": (45, 62),
    "horn section": (60, 76),
}
_DEFAULT_BASS = {
    "jazz lofi": "upright bass",
    "lofi house": "synth bass",
    "synthwave lofi": "synth bass",
    "chiptune lofi": "square wave bass",
    "r&b lofi": "sub bass",
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
        flavour: what the genre does with chords, rhythm and bass.
    """

    keys: tuple[str, ...]
    pads: tuple[str, ...]
    leads: tuple[str, ...]
    bass: str
    kit: str
    percussion: tuple[str, ...]
    calm: bool
    flavour: Flavour = FLAVOURS[""]


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
        choose_flavour(wishes),
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
    asked = frozenset(wishes.sounds)
    cutoff_hz = float(rng.uniform(7000.0, 9000.0)) * _brightness(frozenset(wishes.moods), asked)
    reverb_share, reverb_sec = _reverb(wishes, asked)
    wow_cents = float(rng.uniform(3.0, 6.0)) * (2.5 if "wobbly" in asked else 1.0)
    drive = float(rng.uniform(1.5, 2.1)) + 0.8 * ("tape saturation" in asked)
    worn = "lo fi production" in asked
    return Sound(
        cutoff_hz=cutoff_hz,
        drive=1.2 if "clean" in asked else drive + 0.4 * worn,
        wow_cents=0.0 if "wobbly" in wishes.refused else wow_cents * (1.4 if worn else 1.0),
        reverb_share=reverb_share,
        reverb_sec=reverb_sec,
        duck=0.55 if "pumping" in asked else 0.22,
        width=0.7 if "wide stereo" in asked else 0.34,
        chorus=0.7 if "chorus effect" in asked else 0.0,
        tremolo=0.45 if "tremolo" in asked else 0.0,
        crush="bitcrushed" in asked,
        sampled="sampled" in asked,
        sweep="sweep" in asked,
        compress=0.5 if "compressed" in asked else 0.0,
        punch_db=3.0 if "punchy" in asked else 0.0,
        warmth_db=3.0 if "analog warmth" in asked else 0.0,
        air_db=4.0 if "bright mix" in asked else 0.0,
        soft_attack_sec=0.16 if "slow attack" in asked else 0.0,
    )


_BRIGHTER = {"clean": 1.5, "bright mix": 1.5, "lo fi production": 0.8, "filtered": 0.6}
_BRIGHTER |= {"dark filter": 0.5}


def _brightness(moods: frozenset[str], asked: frozenset[str]) -> float:
    """Return what moods and sound words multiply the tape's low-pass by."""
    share = 1.0
    if moods & {"dark", "melancholic", "moody", "sleepy", "warm", "lonely"}:
        share *= 0.75
    if moods & {"happy", "upbeat", "festive", "hopeful"}:
        share *= 1.25
    for name in sorted(asked & set(_BRIGHTER)):
        share *= _BRIGHTER[name]
    return share


def _reverb(wishes: Wishes, asked: frozenset[str]) -> tuple[float, float]:
    """Return the reverb's share and length in seconds."""
    if "dry" in asked or "reverb" in wishes.refused:
        return 0.06, 0.7
    if "reverb" in asked or set(wishes.moods) & {"dreamy", "ethereal", "serene"}:
        return 0.32, 2.4
    return (0.22, 0.9) if "room reverb" in asked else (0.16, 1.3)


TEXTURE_LEVELS_DB = {
    "rain": -15.0,
    "vinyl crackle": -24.0,
    "tape hiss": -31.0,
    "ocean": -17.0,
    "forest": -24.0,
    "cafe": -23.0,
    "night": -29.0,
    "fireplace": -23.0,
    "wind": -23.0,
    "city": -25.0,
    "thunder": -17.0,
    "fireworks": -22.0,
    "stream": -22.0,
    "train": -20.0,
    "projector": -25.0,
    "room": -30.0,
}
_MOST_TEXTURES = 4


def choose_textures(wishes: Wishes) -> tuple[tuple[str, float], ...]:
    """Return at most four textures with their levels, first asked first."""
    return tuple((name, TEXTURE_LEVELS_DB[name]) for name in wishes.textures[:_MOST_TEXTURES])
