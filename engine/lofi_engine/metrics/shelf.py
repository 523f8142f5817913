"""Embeddings that are loaded once, however many metrics listen with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.metrics.protocol import Embedding
from lofi_engine.metrics.remembered import RememberedEmbedding

if TYPE_CHECKING:
    from lofi_engine.metrics.embeddings.clap import ClapEmbedding

SOUND_EMBEDDING = "lofi-sound-v1"


class Shelf:
    """Loads an embedding when it is first asked for, and keeps it for the next metric.

    One model named in two ways, as a folder and on the Hub, is one. What a CLAP model made of
    windows is remembered, as Fréchet distance and CLAP score embed the same ones.
    """

    def __init__(self) -> None:
        self._clap: dict[Path, ClapEmbedding] = {}
        self._sounds: dict[Path, RememberedEmbedding] = {}

    def embedding(self, location: str) -> Embedding:
        """Give the embedding that Fréchet distances and style metrics are measured in.

        Args:
            location: "lofi-sound-v1", or where a CLAP model is: a folder or "hf:owner/name".

        Raises:
            MetricError: there is no such model.
        """
        if location == SOUND_EMBEDDING:
            from lofi_engine.metrics.embeddings.sound import SoundEmbedding

            return SoundEmbedding()
        found = self.clap(location)
        return self._sounds.setdefault(found.folder.resolve(), RememberedEmbedding(lambda: found))

    def clap(self, location: str) -> ClapEmbedding:
        """Give a CLAP model.

        Args:
            location: a folder or "hf:owner/name".

        Raises:
            MetricError: there is no such model.
        """
        from lofi_engine.metrics.embeddings.clap import KIND, ClapEmbedding
        from lofi_engine.metrics.pretrained import find_model

        folder = find_model(location, KIND).folder.resolve()
        if folder not in self._clap:
            self._clap[folder] = ClapEmbedding(location)
        return self._clap[folder]
