"""Which pieces figures are measured with, and what they sound like as the synthesiser plays them.

The recipe's pieces come first. Where a figure needs more of a kind, pieces of other seeds follow,
which nothing was trained on either: there is no end to them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.pretraining.pieces import Piece, captions_of, draw_pieces, lyrics_of, score_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.base_quality.settings import QualitySettings
    from lofi_engine.pretraining.settings import BaseSettings
    from lofi_runtime.backend import Audio
    from lofi_runtime.synth import Score

Wanted = Callable[[Piece], bool]
_ROUNDS = 40
"""How often the list is gone through with other seeds before a kind of piece is given up."""


def any_piece(_piece: Piece) -> bool:
    """Want every piece."""
    return True


class Material:
    """The pieces of a base's recipe.

    Args:
        base: the recipe.
        settings: how long clips are, and the seed of pieces beyond the recipe's.
    """

    def __init__(self, base: BaseSettings, settings: QualitySettings) -> None:
        self._base = base
        self._settings = settings

    @property
    def name(self) -> str:
        """Of the recipe's base."""
        return self._base.name

    def held_out(self, count: int, wanted: Wanted = any_piece) -> tuple[Piece, ...]:
        """Give pieces that nothing was trained on.

        Args:
            count: how many.
            wanted: which kind.

        Raises:
            StageError: there are not so many of that kind.
        """
        return self._find("held out", [one for one in self._pieces if one.held_out], count, wanted)

    def taught(self, count: int, wanted: Wanted = any_piece) -> tuple[Piece, ...]:
        """Give pieces that the base was trained on; of other seeds where they do not suffice.

        Raises:
            StageError: there are not so many of that kind.
        """
        return self._find(
            "taught", [one for one in self._pieces if not one.held_out], count, wanted
        )

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        return draw_pieces(self._base.tracks, self._base.seed)

    def _find(
        self, kind: str, pieces: Sequence[Piece], count: int, wanted: Wanted
    ) -> tuple[Piece, ...]:
        found: list[Piece] = []
        for piece in self._endless(kind, pieces):
            if len(found) == count:
                break
            if wanted(piece):
                found.append(piece)
        if len(found) < count:
            raise StageError(
                f"{self._base.name}: {count} pieces ({kind}) wanted, {len(found)} found",
                hint="give the recipe's tracks more pieces, or measure fewer clips",
            )
        return tuple(found)

    def _endless(self, kind: str, pieces: Sequence[Piece]) -> Iterator[Piece]:
        yield from pieces
        for number in range(1, _ROUNDS):
            for piece in pieces:
                name = f"{piece.name}-{number}"
                seed = zlib.crc32(f"{self._settings.seed}/{kind}/{name}".encode())
                yield replace(piece, name=name, seed=seed, held_out=True)


def made_by(piece: Piece, duration_sec: int, lyrics: str | None = None) -> dict[str, object]:
    """Say what a piece's sound depends on, as JSON values."""
    from lofi_runtime.synth import VERSION

    told = {"lyrics": lyrics} if lyrics is not None else {}
    synth = f"procedural {VERSION}"
    return {"network": synth, "piece": asdict(piece), "duration_sec": duration_sec, **told}


def play(piece: Piece, duration_sec: int, lyrics: str | None = None) -> Audio:
    """Synthesise a stretch of a piece, mastered as players master what a model makes.

    Args:
        piece: which piece; one that is shorter is composed longer.
        duration_sec: of the stretch; where it lies is drawn from the piece's seed.
        lyrics: sung in place of the piece's own.

    Returns:
        48 kHz stereo.
    """
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.pipeline.master import master

    return master(stretch(piece, duration_sec, lyrics), SAMPLE_RATE, duration_sec)


def stretch(piece: Piece, duration_sec: int, lyrics: str | None = None) -> npt.NDArray[np.float32]:
    """Synthesise a stretch of a piece as it is, float32 (2, samples) at 48 kHz."""
    import numpy as np

    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.synth import render

    samples = render(sung_score(piece, duration_sec, lyrics))
    length = duration_sec * SAMPLE_RATE
    free = samples.shape[1] - length
    start = int(np.random.default_rng([piece.seed, 1]).integers(free + 1))
    found: npt.NDArray[np.float32] = samples[:, start : start + length]
    return found


def sung_score(piece: Piece, duration_sec: int, lyrics: str | None = None) -> Score:
    """Compose a piece of at least a duration, with its own lyrics or with others."""
    from lofi_runtime.synth.sung import sing

    if piece.duration_sec < duration_sec:
        piece = replace(piece, duration_sec=float(duration_sec))
    score = score_of(piece)
    return score if lyrics is None else sing(score, lyrics)


__all__ = [
    "Material",
    "Piece",
    "captions_of",
    "lyrics_of",
    "made_by",
    "play",
    "score_of",
    "stretch",
    "sung_score",
]
