"""What a genre does with chords, rhythm and bass: the difference between a house loop and a ballad.

A comp is hits of one bar, (start, length) in beats; a bass line adds what is played.
"""

from __future__ import annotations

from dataclasses import dataclass

from lofi_runtime.synth.words import Wishes

Comp = tuple[tuple[float, float], ...]
BassLine = tuple[tuple[float, float, str], ...]

HELD: Comp = ((0.0, 4.0),)
LONG_BASS: BassLine = ((0.0, 3.8, "root"),)

_COMPS: tuple[Comp, ...] = (
    ((0.0, 1.5), (2.5, 1.5)),
    ((0.0, 1.5), (1.5, 2.4)),
    ((0.0, 3.0), (3.5, 0.5)),
    ((0.0, 2.0), (2.0, 1.5)),
)
_BASS: tuple[BassLine, ...] = (
    ((0.0, 2.0, "root"), (2.5, 1.4, "root")),
    ((0.0, 1.4, "root"), (1.5, 0.5, "root"), (2.5, 1.3, "fifth")),
    ((0.0, 2.4, "root"), (2.5, 0.9, "fifth"), (3.5, 0.5, "lead in")),
    ((0.0, 1.5, "root"), (2.5, 0.5, "octave"), (3.0, 0.9, "fifth")),
)


@dataclass(frozen=True)
class Flavour:
    """How the accompaniment of one kind of music goes.

    Args:
        chords: the first half of a key of `harmony`'s flavoured progressions.
        comps: what the first keyboard or guitar plays.
        bass: bass lines to choose from.
    """

    chords: str = ""
    comps: tuple[Comp, ...] = _COMPS
    bass: tuple[BassLine, ...] = _BASS


FLAVOURS: dict[str, Flavour] = {
    "": Flavour(),
    "jazz": Flavour(
        "jazz",
        (
            ((0.0, 1.0), (1.5, 0.5), (3.5, 0.5)),
            ((0.5, 1.0), (2.5, 0.5)),
            ((0.0, 1.5), (2.5, 1.0)),
            ((1.5, 1.5), (3.5, 0.5)),
        ),
        (
            ((0.0, 0.9, "root"), (1.0, 0.9, "third"), (2.0, 0.9, "fifth"), (3.0, 0.9, "lead in")),
            ((0.0, 0.9, "root"), (1.0, 0.9, "fifth"), (2.0, 0.9, "third"), (3.0, 0.9, "lead in")),
            ((0.0, 0.9, "root"), (1.0, 0.9, "octave"), (2.0, 0.9, "fifth"), (3.0, 0.9, "lead in")),
        ),
    ),
    "house": Flavour(
        "house",
        (
            ((0.0, 0.7), (1.5, 0.5), (3.0, 0.7)),
            ((0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.4)),
            ((0.0, 0.4), (0.75, 0.4), (1.5, 0.4), (2.5, 0.6)),
        ),
        (
            (
                *((0.5, 0.48, "root"), (1.5, 0.48, "root"), (2.5, 0.48, "root")),
                (3.5, 0.45, "octave"),
            ),
        ),
    ),
    "ambient": Flavour("ambient", (HELD,), (LONG_BASS,)),
    "dark": Flavour(
        "dark",
        (((0.0, 3.8),), ((0.0, 2.4), (2.5, 1.4))),
        (((0.0, 3.2, "root"), (3.5, 0.5, "root")), ((0.0, 2.4, "root"), (2.75, 1.1, "root"))),
    ),
    "funk": Flavour(
        "",
        (
            ((0.0, 0.3), (0.75, 0.25), (1.5, 0.3), (2.75, 0.25), (3.5, 0.3)),
            ((0.5, 0.25), (1.0, 0.3), (1.75, 0.25), (2.5, 0.25), (3.25, 0.3)),
        ),
        (
            (
                *((0.0, 0.4, "root"), (0.75, 0.2, "octave"), (1.5, 0.4, "root")),
                *((2.25, 0.2, "fifth"), (2.5, 0.4, "root"), (3.5, 0.4, "lead in")),
            ),
            (
                *((0.0, 0.7, "root"), (1.25, 0.2, "root"), (1.5, 0.4, "octave")),
                *((2.5, 0.3, "fifth"), (2.75, 0.2, "octave"), (3.5, 0.4, "lead in")),
            ),
        ),
    ),
    "synthwave": Flavour(
        "pop",
        (((0.0, 3.8),),),
        (tuple((0.5 * step, 0.42, "root") for step in range(8)),),
    ),
    "console": Flavour(
        "pop",
        (((0.0, 0.4), (1.0, 0.4), (2.0, 0.4), (3.0, 0.4)), ((0.0, 0.7), (1.5, 0.4), (2.5, 0.7))),
        (
            tuple((0.5 * step, 0.4, "octave" if step % 2 else "root") for step in range(8)),
            tuple((0.5 * step, 0.4, "root" if step < 6 else "fifth") for step in range(8)),
        ),
    ),
    "indie": Flavour(
        "pop",
        (tuple((0.5 * step, 0.45) for step in range(8)), ((0.0, 1.9), (2.0, 1.9))),
        (tuple((0.5 * step, 0.46, "root") for step in range(8)),),
    ),
    "soul": Flavour(
        "soul",
        (((0.0, 2.2), (2.75, 1.0)), ((0.25, 1.4), (1.75, 1.9))),
        (
            ((0.0, 1.2, "root"), (1.75, 0.7, "octave"), (2.75, 1.0, "root")),
            ((0.0, 1.7, "root"), (2.25, 0.4, "fifth"), (2.75, 1.1, "root")),
        ),
    ),
    "tropical": Flavour(
        "tropical",
        (
            ((0.0, 0.4), (1.0, 0.3), (1.5, 0.4), (2.5, 0.4), (3.0, 0.3), (3.5, 0.3)),
            ((0.0, 0.6), (0.75, 0.6), (1.5, 0.5), (2.5, 0.4), (3.5, 0.3)),
        ),
        (
            ((0.0, 1.3, "root"), (1.5, 0.9, "fifth"), (3.0, 0.8, "octave")),
            ((0.0, 0.7, "root"), (1.5, 0.4, "root"), (2.0, 0.7, "fifth"), (3.5, 0.4, "fifth")),
        ),
    ),
    "city pop": Flavour(
        "city pop",
        (((0.0, 0.7), (1.5, 0.4), (2.0, 0.7), (3.5, 0.4)), ((0.0, 1.3), (1.5, 0.4), (2.5, 0.9))),
        (
            (
                *((0.0, 0.7, "root"), (0.75, 0.2, "root"), (1.5, 0.4, "octave")),
                *((2.0, 0.7, "fifth"), (3.0, 0.4, "octave"), (3.5, 0.4, "lead in")),
            ),
        ),
    ),
    "festive": Flavour(
        "festive",
        (((0.0, 0.9), (1.0, 0.9), (2.0, 0.9), (3.0, 0.9)), ((0.0, 1.9), (2.0, 1.9))),
        (((0.0, 1.8, "root"), (2.0, 1.8, "fifth")),),
    ),
}
_GENRES = {
    "jazz lofi": "jazz",
    "lofi house": "house",
    "ambient lofi": "ambient",
    "dark lofi": "dark",
    "chillhop": "funk",
    "synthwave lofi": "synthwave",
    "chiptune lofi": "console",
    "bedroom pop lofi": "indie",
    "r&b lofi": "soul",
}
_THEMES = {"christmas": "festive", "summer": "tropical"}


def choose_flavour(wishes: Wishes) -> Flavour:
    """Return the flavour asked for by sound words, then themes, then the genre."""
    if "city pop" in wishes.sounds:
        return FLAVOURS["city pop"]
    if "complex harmony" in wishes.sounds and wishes.genre != "r&b lofi":
        return FLAVOURS["jazz"]
    for theme in wishes.themes:
        if theme in _THEMES:
            return FLAVOURS[_THEMES[theme]]
    return FLAVOURS[_GENRES.get(wishes.genre or "", "")]
