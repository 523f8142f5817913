"""What a base is taught from: which pieces are synthesised, and what is said of each.

Lofi pieces follow the 38 styles, with wishes thrown in so that tempo, key and textures do not
follow from the style alone. Plain ones have no tape, no crackle and other genres: a base that knew
nothing but lofi would leave a lofi adapter nothing to move.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import Style, load_styles, shipped_styles
from lofi_runtime.synth import Score, Sound, compose, describe
from lofi_runtime.synth.sung import is_sung, sing

if TYPE_CHECKING:
    from lofi_engine.pretraining.settings import TrackSettings

LOFI, PLAIN = "lofi", "plain"
_SUNG_SHARE = 0.8
"""Of the pieces with a singer, those that have lyrics."""
_CONSONANTS = "lnmdhsr"
_VOWELS = "aeiou"
_PLAIN_GENRES: dict[str, tuple[str, tuple[int, int]]] = {
    "pop": ("indie pop, piano, electric guitar, bass guitar, live drums", (92, 128)),
    "house": ("house, synth stabs, analog synth, synth bass, house beat", (112, 130)),
    "classical piano": ("piano, drumless, no bass, no pads", (58, 128)),
    "folk": ("acoustic guitar, ukulele, flute, drumless", (76, 124)),
    "funk": ("funky, clavinet, horn section, bass guitar, live drums", (92, 118)),
    "synthwave": ("synthwave, synth arpeggio, analog synth, synth bass, drum machine", (84, 122)),
    "jazz": ("jazz, piano, saxophone, upright bass, brushed drums", (88, 152)),
    "orchestral": ("strings, horn section, harp, cello, drumless", (58, 104)),
    "chiptune": ("chiptune, square wave bass, drum machine", (96, 150)),
    "ambient": ("ambient, synth pads, textured drones, bells, drumless", (50, 76)),
    "choral": ("choir, female vocals, male vocals, drumless, no bass", (56, 90)),
    "tropical": ("tropical, steel drums, marimba, ukulele, shakers, live drums", (90, 120)),
    "soul": ("soul, organ, female vocals, horn section, bass guitar, live drums", (70, 104)),
}
_TEXTURES = ("rain", "vinyl crackle", "tape hiss", "night", "cafe", "ocean", "fireplace")
_LEADS = ("piano", "acoustic guitar", "electric guitar", "rhodes", "flute", "vibraphone")
_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Piece:
    """One track to synthesise.

    Args:
        name: unique, file-safe; says kind, style and number.
        style: the id of a style, or a plain genre.
        kind: "lofi" or "plain".
        seed: of the composition, and of what is said of it.
        held_out: whether nothing is trained on it.
        duration_sec: its length.
    """

    name: str
    style: str
    kind: str
    seed: int
    held_out: bool
    duration_sec: float


def draw_pieces(settings: TrackSettings, seed: int) -> tuple[Piece, ...]:
    """List every piece, in an order whose beginning is a fair sample of the whole.

    Training pieces come first; those held out have seeds of their own.
    """
    lofi = [style.id for style in _styles()]
    plain = list(_PLAIN_GENRES)
    taught = [
        *_numbered(lofi, LOFI, settings.per_style, seed, settings.duration_sec),
        *_numbered(plain, PLAIN, settings.per_plain, seed, settings.duration_sec),
    ]
    held_out = [
        *_numbered(lofi, LOFI, settings.held_out_per_style, seed, settings.duration_sec, True),
        *_numbered(plain, PLAIN, settings.held_out_per_plain, seed, settings.duration_sec, True),
    ]
    order = np.random.default_rng(seed)
    return tuple(
        group[place] for group in (taught, held_out) for place in order.permutation(len(group))
    )


def score_of(piece: Piece) -> Score:
    """Compose a piece; its lyrics are on its sung notes."""
    return sing(_unsung(piece), lyrics_of(piece))


def lyrics_of(piece: Piece) -> str:
    """Give what is sung in a piece, of one or two vowels; "" for what has no words."""
    rng = _rng(piece, "lyrics")
    if rng.random() >= _SUNG_SHARE or not is_sung(_unsung(piece)):
        return ""
    vowels = rng.choice(list(_VOWELS), size=int(rng.integers(1, 3)), replace=False)
    lines = []
    for _ in range(int(rng.integers(2, 5))):
        consonants = rng.choice(list(_CONSONANTS), size=int(rng.integers(3, 7)))
        lines.append(" ".join(one + str(rng.choice(vowels)) for one in consonants))
    return "[verse]\n" + "\n".join(lines)


def captions_of(piece: Piece) -> tuple[str, ...]:
    """Give the texts a piece is taught with; the first says everything that is true of it."""
    said = describe(_unsung(piece))
    rng = _rng(piece, "captions")
    full = _deduplicated(
        [*said["prompt"].split(", "), *(("clean mix",) if piece.kind == PLAIN else ())]
    )
    tempo = f"{said['tempo_bpm']:.0f} bpm"
    some = [tag for tag in full if tag != tempo and rng.random() < 0.5]
    few = list(rng.choice(full, size=min(3, len(full)), replace=False))
    texts = [
        full,
        _shuffled([*full], rng),
        _shuffled([*some, tempo], rng),
        [said["genre"], tempo, *(tag for tag in few if tag != tempo)],
        [f"{said['mood']} {said['genre']} with {_last(said['instruments'])} at {tempo}"],
        [_last(said["moods"]) + " " + said["genre"]],
    ]
    written = [", ".join(dict.fromkeys(tags)) for tags in texts]
    if piece.kind == LOFI:
        style = _style(piece.style)
        written.append(expand_style(style, piece.seed, tempo_bpm=said["tempo_bpm"]))
    return tuple(dict.fromkeys(written))


@cache
def _styles() -> tuple[Style, ...]:
    return tuple(load_styles(shipped_styles()).values())


def _style(style_id: str) -> Style:
    return next(style for style in _styles() if style.id == style_id)


def _numbered(
    names: Sequence[str],
    kind: str,
    each: int,
    seed: int,
    duration_sec: float,
    held_out: bool = False,
) -> list[Piece]:
    mark = "held-out" if held_out else kind
    return [
        Piece(
            name=(name := f"{mark}-{style.lower().replace(' ', '-')}-{number:03d}"),
            style=style,
            kind=kind,
            seed=zlib.crc32(f"{seed}/{name}".encode()),
            held_out=held_out,
            duration_sec=duration_sec,
        )
        for style in names
        for number in range(each)
    ]


def _rng(piece: Piece, purpose: str) -> np.random.Generator:
    return np.random.default_rng([piece.seed, zlib.crc32(purpose.encode())])


@cache
def _unsung(piece: Piece) -> Score:
    rng = _rng(piece, "wishes")
    if piece.kind == PLAIN:
        return _plain(piece, rng)
    wishes = []
    if rng.random() < 0.5:
        wishes.append(f"{rng.integers(56, 113)} bpm")
    if rng.random() < 0.4:
        wishes.append(str(rng.choice(_TEXTURES)))
    if rng.random() < 0.35:
        wishes.append(str(rng.choice(_LEADS)))
    if rng.random() < 0.4:
        wishes.append(_key(rng))
    return _compose(piece, wishes, piece.style)


def _plain(piece: Piece, rng: np.random.Generator) -> Score:
    wishes, (low, high) = _PLAIN_GENRES[piece.style]
    score = _compose(piece, [wishes, f"{rng.integers(low, high + 1)} bpm", _key(rng)], "")
    sound = Sound(
        cutoff_hz=float(rng.uniform(15_000, 19_000)),
        drive=1.0,
        wow_cents=0.0,
        reverb_share=float(rng.uniform(0.02, 0.22)),
        reverb_sec=float(rng.uniform(0.6, 1.8)),
        duck=0.0,
        width=float(rng.uniform(0.3, 0.6)),
        air_db=float(rng.uniform(0.0, 2.0)),
    )
    return replace(score, genre=piece.style, textures=(), themes=(), sound=sound)


def _compose(piece: Piece, wishes: Sequence[str], style: str) -> Score:
    return compose(", ".join(wishes), seed=piece.seed, duration_sec=piece.duration_sec, style=style)


def _key(rng: np.random.Generator) -> str:
    return f"{rng.choice(_TONICS)} {rng.choice(('minor', 'major'))}"


def _shuffled(tags: list[str], rng: np.random.Generator) -> list[str]:
    return [tags[place] for place in rng.permutation(len(tags))]


def _deduplicated(tags: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _last(words: Sequence[str]) -> str:
    return words[-1] if words else "music"
