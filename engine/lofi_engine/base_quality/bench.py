"""What every figure works with: the base, the pieces, and the sounds made of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.base_quality.material import (
    Material,
    Piece,
    captions_of,
    lyrics_of,
    made_by,
    play,
)
from lofi_engine.base_quality.settings import QualitySettings
from lofi_engine.base_quality.shelf import Kept, KeptClips, Shelf
from lofi_engine.base_quality.untrained import TRAINED, variant
from lofi_engine.metrics.clips import ClipFacts
from lofi_engine.metrics.protocol import Embedding, Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.models.family import Base
    from lofi_runtime.backend import Audio

    Values = npt.NDArray[np.float64]

OnProgress = Callable[[str, int, int, str], None]
"""`on_progress(figure, done, total, what)`, before each step of long work."""


def ignore_progress(_figure: str, _done: int, _total: int, _what: str) -> None:
    """Draw no progress."""


@dataclass(frozen=True)
class Ask:
    """What one clip is asked for.

    Args:
        name: of the clip in its set.
        prompt: the tags.
        lyrics: "" for an instrumental.
        seed: of the starting noise.
    """

    name: str
    prompt: str
    lyrics: str
    seed: int


class Bench:
    """The base that is measured, and what it is measured with.

    Args:
        base: loaded, on the device that it is to run on.
        material: the pieces.
        settings: how much is measured.
        folder: where sounds are kept.
        on_progress: told of each sound that is made.
    """

    def __init__(
        self,
        base: Base,
        material: Material,
        settings: QualitySettings,
        folder: Path,
        on_progress: OnProgress = ignore_progress,
    ) -> None:
        self.base = base
        self.material = material
        self.settings = settings
        self._folder = folder
        self._shelf = Shelf(folder)
        self._on_progress = on_progress
        self._networks: dict[str, Base] = {}
        self.figure = ""

    @cached_property
    def embedding(self) -> Embedding:
        """The built-in one, remembering what it embedded."""
        from lofi_engine.metrics.embeddings.sound import SoundEmbedding
        from lofi_engine.metrics.remembered import RememberedEmbedding

        return RememberedEmbedding(SoundEmbedding)

    def report(self, what: str) -> Report:
        """Give what a metric tells of each clip, under a name."""
        return lambda done, total, _name: self.say(done, total, what)

    def say(self, done: int, total: int, what: str) -> None:
        """Tell of the progress of this figure."""
        self._on_progress(self.figure, done, total, what)

    def asks_of(self, pieces: Iterable[Piece], purpose: str) -> list[Ask]:
        """Ask for what pieces are: their full caption and their lyrics.

        Args:
            pieces: which.
            purpose: draws other seeds than other purposes do.
        """
        return [
            Ask(piece.name, captions_of(piece)[0], lyrics_of(piece), self.seed(purpose, number))
            for number, piece in enumerate(pieces)
        ]

    def seed(self, purpose: str, number: int) -> int:
        """Give the seed of one clip's noise."""
        return self.settings.noise_seed(purpose, number)

    def generate(self, label: str, asks: Sequence[Ask], networks: str = TRAINED) -> KeptClips:
        """Generate clips, or take those that were generated before.

        Args:
            label: how tables and errors call the set.
            asks: what for; names are unique.
            networks: one of `untrained.NETWORKS`.

        Raises:
            BackendError: the base gives values that are not numbers.
            StageError: a name comes twice, or there are lyrics but the base cannot read any.
        """
        kept: dict[str, Kept] = {}
        for number, ask in enumerate(asks):
            self.say(number, len(asks), f"generate {label}")
            kept[ask.name] = self._one(ask, networks)
        self.say(len(asks), len(asks), f"generate {label}")
        facts = {ask.name: ClipFacts(ask.prompt, "", ask.lyrics, ask.seed) for ask in asks}
        return KeptClips(label, kept, facts)

    def play(
        self, label: str, pieces: Sequence[Piece], lyrics: Sequence[str] | None = None
    ) -> KeptClips:
        """Synthesise pieces, or take those that were synthesised before.

        Args:
            label: how tables and errors call the set.
            pieces: which.
            lyrics: sung in place of each one's own, as many as pieces; the clips are then called
                by the piece's name and the number in the list.
        """
        duration_sec = self.settings.duration_sec
        kept: dict[str, Kept] = {}
        facts: dict[str, ClipFacts] = {}
        for number, piece in enumerate(pieces):
            self.say(number, len(pieces), f"synthesise {label}")
            words = None if lyrics is None else lyrics[number]
            name = piece.name if words is None else f"{piece.name}-{number}"
            kept[name] = self._shelf.keep(
                made_by(piece, duration_sec, words),
                partial(play, piece, duration_sec, words),
            )
            facts[name] = ClipFacts(prompt=captions_of(piece)[0], style=piece.style)
        self.say(len(pieces), len(pieces), f"synthesise {label}")
        return KeptClips(label, kept, facts)

    def render(self, ask: Ask, networks: str = TRAINED) -> Audio:
        """Generate one clip anew, kept or not.

        Raises:
            BackendError: the base gives values that are not numbers.
            StageError: there are lyrics, but the base cannot read any.
        """
        from lofi_engine.training.samples import render_prompt

        return render_prompt(
            self._of(networks),
            ask.prompt,
            lyrics=ask.lyrics,
            seed=ask.seed,
            duration_sec=self.settings.duration_sec,
            steps=self.settings.inference_steps,
        )

    def lasting(self, duration_sec: int) -> Bench:
        """Give a bench whose clips have another length."""
        settings = replace(self.settings, duration_sec=duration_sec)
        return Bench(self.base, self.material, settings, self._folder, self._on_progress)

    def hear(self, sets: Sequence[KeptClips], how: str) -> Values:
        """Describe sets' clips for a classifier, set after set and by name.

        Args:
            sets: one clip at a time is read.
            how: `hearing.COLOUR`, `HARMONY` or `HOME`.

        Returns:
            float64 (clips, numbers).
        """
        from lofi_engine.base_quality.hearing import hear

        return hear(
            (clips.clip(name) for clips in sets for name in clips.names), how, self.embedding
        )

    def _one(self, ask: Ask, networks: str) -> Kept:
        from lofi_engine.training.sample_guidance import guidance_of

        settings = self.settings
        asked = {key: value for key, value in asdict(ask).items() if key != "name"}
        made = {
            **{key: value for key, value in settings.stated().items() if key != "clips"},
            **asked,
            "network": self.base.identity,
            "networks": networks,
            "weights_seed": 0 if networks == TRAINED else settings.seed,
            "guidance_form": guidance_of(self.base),
        }

        return self._shelf.keep(made, partial(self.render, ask, networks))

    def _of(self, networks: str) -> Base:
        if networks not in self._networks:
            self._networks[networks] = variant(self.base, networks, self.settings.seed)
        return self._networks[networks]
