"""Draws training batches: tracks by style or evenly, a window of each, conditions dropped.

Every draw comes from one generator, so its state is the sampler's whole position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.training.encoded import (
    EncodedTrack,
    Features,
    read_shard,
    stack_conditioning,
)

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Conditioning
    from lofi_engine.recipe.model import ConditionDropout


@dataclass(frozen=True)
class Batch:
    """One batch: latents (batch, 8, 16, frames) and their conditions."""

    latents: torch.Tensor
    conditioning: Conditioning


class Sampler:
    """Draws batches from an encoded set, for ever.

    Args:
        folder: the encoded set.
        tracks: the tracks to draw from; at least one.
        by: "style" draws every style equally often, "track" every track.
        window_frames: latent frames of a window; shorter tracks shorten their batch, because
            padding would change the valid frames (the patch embedding's norm spans all of time).
        speaker_width: width of the speaker embedding.
        dropout: how often each condition is dropped.
        generator: all randomness.
    """

    def __init__(
        self,
        folder: Path,
        tracks: Sequence[EncodedTrack],
        *,
        by: str,
        window_frames: int,
        speaker_width: int,
        dropout: ConditionDropout,
        generator: torch.Generator,
    ) -> None:
        self._folder = folder
        self._groups = _groups(tracks, by)
        self._window = window_frames
        self._speaker_width = speaker_width
        self._dropout = dropout
        self._generator = generator

    def draw(self, count: int) -> Batch:
        """Draw `count` windows."""
        import torch

        tracks = [self._track() for _ in range(count)]
        features = [read_shard(self._folder / track.shard) for track in tracks]
        frames = min(self._window, *(one.latents.shape[-1] for one in features))
        latents = torch.stack([self._cut(one, frames) for one in features])
        return Batch(latents, self._drop(stack_conditioning(features, self._speaker_width)))

    def _track(self) -> EncodedTrack:
        group = self._groups[self._index(len(self._groups))]
        return group[self._index(len(group))]

    def _cut(self, features: Features, frames: int) -> torch.Tensor:
        start = self._index(features.latents.shape[-1] - frames + 1)
        return features.latents[..., start : start + frames]

    def _index(self, count: int) -> int:
        import torch

        return int(torch.randint(count, (1,), generator=self._generator))

    def _drop(self, conditioning: Conditioning) -> Conditioning:
        import torch

        count = len(conditioning.text_states)

        def kept(share: float) -> torch.Tensor:
            return (torch.rand(count, generator=self._generator) >= share).long()

        text, speaker, lyric = (
            kept(self._dropout.text),
            kept(self._dropout.speaker),
            kept(self._dropout.lyric),
        )
        return replace(
            conditioning,
            text_states=conditioning.text_states * text[:, None, None],
            speaker=conditioning.speaker * speaker[:, None],
            lyric_ids=conditioning.lyric_ids * lyric[:, None],
            lyric_mask=conditioning.lyric_mask * lyric[:, None],
        )


def _groups(tracks: Sequence[EncodedTrack], by: str) -> list[list[EncodedTrack]]:
    groups: dict[str, list[EncodedTrack]] = defaultdict(list)
    for track in tracks:
        groups[(track.style_ids or ("",))[0] if by == "style" else track.track].append(track)
    return [groups[name] for name in sorted(groups)]
