"""Whether a clip has the tempo that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from lofi_engine.base_quality.bench import Bench
from lofi_engine.base_quality.material import Piece, score_of
from lofi_engine.base_quality.results import HIGHER, Goal, Result, Row, share_row
from lofi_engine.base_quality.shelf import KeptClips

NAME = "tempo"
TOLERANCE = 0.05
LEAST_SHARE = 70.0


def measure(bench: Bench) -> Result:
    """Count the clips whose tempo is within 5 % of the asked one.

    Beside it stand the same detector on the pieces themselves, which no base can be better than,
    and what chance would get: every clip held against every other clip's tempo.

    Raises:
        StageError: there are too few held-out pieces with a beat.
        BackendError: the base gives values that are not numbers.
    """
    pieces = bench.material.held_out(bench.settings.tempo_clips, _has_drums)
    asked = [score_of(piece).tempo_bpm for piece in pieces]
    clips = bench.generate("clips with a tempo", bench.asks_of(pieces, NAME))
    heard = _heard(bench, clips, pieces)
    played = _heard(bench, bench.play("their pieces", pieces), pieces)
    n = len(pieces)
    right, ceiling = (_right(found, asked) for found in (heard, played))
    octaves = sum(_fits_an_octave(one, bpm) for one, bpm in zip(heard, asked, strict=True))
    beside = {"the pieces themselves": 100.0 * ceiling / n, "chance": 100.0 * _chance(heard, asked)}
    goal = Goal(LEAST_SHARE, HIGHER)
    rows = (
        share_row("tempo within 5 % of the asked one", right, n, beside=beside, goal=goal),
        share_row("the same, its double and half counted too", octaves, n),
        Row("clips without a clear beat", float(sum(one <= 0 for one in heard)), n=n),
    )
    return Result(NAME, {**bench.settings.stated(), "tempo_clips": n}, rows)


def _has_drums(piece: Piece) -> bool:
    return bool(score_of(piece).kit)


def _heard(bench: Bench, clips: KeptClips, pieces: Sequence[Piece]) -> list[float]:
    from lofi_engine.metrics.tempo import hear_tempo

    found = []
    for number, piece in enumerate(pieces):
        bench.say(number, len(pieces), f"hear the tempo of {clips.label}")
        found.append(hear_tempo(clips.clip(piece.name)))
    return found


def is_near(heard_bpm: float, asked_bpm: float) -> bool:
    """Whether a tempo is within 5 % of the asked one; 0.0 is none."""
    return abs(heard_bpm / asked_bpm - 1.0) <= TOLERANCE


def _fits_an_octave(heard_bpm: float, asked_bpm: float) -> bool:
    return any(is_near(heard_bpm * factor, asked_bpm) for factor in (0.5, 1.0, 2.0))


def _right(heard: Sequence[float], asked: Sequence[float]) -> int:
    return sum(is_near(one, bpm) for one, bpm in zip(heard, asked, strict=True))


def _chance(heard: Sequence[float], asked: Sequence[float]) -> float:
    """Give the share of fits between every clip and every other clip's asked tempo."""
    hits = sum(
        is_near(one, bpm)
        for place, one in enumerate(heard)
        for other, bpm in enumerate(asked)
        if place != other
    )
    return hits / (len(heard) * (len(heard) - 1))
