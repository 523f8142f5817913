"""Draws training batches: tracks by style or evenly, a window and a text of each.

Rare styles repeat by being drawn more often; nothing is copied. Conditions are dropped last. Every
draw comes from one generator, so its state is the sampler's whole position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.training.encoded import EncodedTrack, check_shards
from lofi_engine.training.features import Features, stack_conditioning
from lofi_engine.training.shards import PROMPT, read_shard
from lofi_engine.training.texts import CAPTION, SHUFFLE

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Conditioning
    from lofi_engine.recipe.model import ConditionDropout, Sampling


@dataclass(frozen=True)
class Batch:
    """One batch.

    Args:
        latents: (batch, 8, 16, frames).
        conditioning: what the network is told with them.
        styles: the id of each track's style, "" where it has none.
        ssl: by model, the features of each window, (feature frames, width); empty without them.
    """

    latents: torch.Tensor
    conditioning: Conditioning
    styles: tuple[str, ...] = ()
    ssl: Mapping[str, Sequence[torch.Tensor]] = field(default_factory=dict)


class Sampler:
    """Draws batches from an encoded set, for ever.

    Args:
        folder: the encoded set.
        tracks: the tracks to draw from; at least one.
        sampling: by "style" every style is drawn equally often, by "track" every track; and which
            of a track's texts goes with a window.
        window_frames: latent frames of a window; shorter tracks shorten their batch, because
            padding would change the valid frames (the patch embedding's norm spans all of time).
        speaker_width: width of the speaker embedding.
        dropout: how often each condition is dropped.
        generator: all randomness.

    Raises:
        StageError: a shard is missing, cut short, or not the one of the index: said before the
            first step, not when that track is drawn.
    """

    def __init__(
        self,
        folder: Path,
        tracks: Sequence[EncodedTrack],
        *,
        sampling: Sampling,
        window_frames: int,
        speaker_width: int,
        dropout: ConditionDropout,
        generator: torch.Generator,
    ) -> None:
        check_shards(folder, tracks)
        self._folder = folder
        self._sampling = sampling
        self._groups = _groups(tracks, sampling.by)
        self._window = window_frames
        self._speaker_width = speaker_width
        self._dropout = dropout
        self._generator = generator

    def draw(self, count: int) -> Batch:
        """Draw `count` windows.

        Raises:
            StageError: a shard is damaged.
        """
        import torch

        tracks = [self._track() for _ in range(count)]
        features = [self._read(track, self._text(track)) for track in tracks]
        starts, frames = self._windows(tracks)
        cuts = list(zip(features, starts, strict=True))
        ssl = [one.window_ssl(start, frames) for one, start in cuts]
        return Batch(
            torch.stack([one.latents[..., start : start + frames] for one, start in cuts]),
            self._drop(stack_conditioning(features, self._speaker_width)),
            tuple(track.style for track in tracks),
            # Features of half a batch would tie only that half.
            {
                name: [one[name] for one in ssl]
                for name in ssl[0]
                if all(name in one for one in ssl)
            },
        )

    def skip(self, count: int) -> int:
        """Draw what `draw` would and read nothing: those windows are another process's.

        Returns:
            How many latent frames they have.
        """
        tracks = [self._track() for _ in range(count)]
        for track in tracks:
            self._text(track)
        _, frames = self._windows(tracks)
        self._kept(count)
        return frames

    def _read(self, track: EncodedTrack, text: str) -> Features:
        return read_shard(self._folder / track.shard, text)

    def _track(self) -> EncodedTrack:
        group = self._groups[self._index(len(self._groups))]
        return group[self._index(len(group))]

    def _text(self, track: EncodedTrack) -> str:
        """Draw the name of one of a track's texts.

        Two numbers are drawn whatever comes of them, so that the windows of a seed are the same
        with captions and without.
        """
        import torch

        share, place = torch.rand(2, generator=self._generator, dtype=torch.float64).tolist()
        choices = _captions(track) if share < self._sampling.recaption_share else ()
        choices = choices or (PROMPT, *_shuffles(track, self._sampling))
        return choices[int(place * len(choices))]

    def _windows(self, tracks: Sequence[EncodedTrack]) -> tuple[list[int], int]:
        """Draw where each track's window starts; with the latent frames of all of them."""
        frames = min(self._window, *(track.frames for track in tracks))
        return [self._index(track.frames - frames + 1) for track in tracks], frames

    def _index(self, count: int) -> int:
        import torch

        return int(torch.randint(count, (1,), generator=self._generator))

    def _kept(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw which rows keep their text, speaker and lyrics, each (count,) of 0 and 1."""
        import torch

        def kept(share: float) -> torch.Tensor:
            return (torch.rand(count, generator=self._generator) >= share).long()

        dropout = self._dropout
        return kept(dropout.text), kept(dropout.speaker), kept(dropout.lyric)

    def _drop(self, conditioning: Conditioning) -> Conditioning:
        text, speaker, lyric = self._kept(len(conditioning.text_states))
        return replace(
            conditioning,
            text_states=conditioning.text_states * text[:, None, None],
            speaker=conditioning.speaker * speaker[:, None],
            lyric_ids=conditioning.lyric_ids * lyric[:, None],
            lyric_mask=conditioning.lyric_mask * lyric[:, None],
        )


def style_shares(tracks: Sequence[EncodedTrack], by: str) -> dict[str, float]:
    """Give the share of windows that each style has, by its id; "" is that of no style."""
    groups = _groups(tracks, by)
    shares: dict[str, float] = defaultdict(float)
    for group in groups:
        shares[group[0].style] += 1 / len(groups)
    return {style_id: round(shares[style_id], 6) for style_id in sorted(shares)}


def text_shares(tracks: Sequence[EncodedTrack], sampling: Sampling) -> dict[str, float]:
    """Give the share of windows trained with the prompt as written, shuffled, and a caption."""
    groups = _groups(tracks, sampling.by)
    shares = {"prompt": 0.0, SHUFFLE: 0.0, CAPTION: 0.0}
    for track, share in ((track, 1 / len(group)) for group in groups for track in group):
        captioned = sampling.recaption_share if _captions(track) else 0.0
        shuffles = len(_shuffles(track, sampling))
        shares[CAPTION] += share * captioned
        shares[SHUFFLE] += share * (1 - captioned) * shuffles / (1 + shuffles)
        shares["prompt"] += share * (1 - captioned) / (1 + shuffles)
    return {name: round(share / len(groups), 6) for name, share in shares.items()}


def _captions(track: EncodedTrack) -> tuple[str, ...]:
    return tuple(name for name in track.other_texts if name.startswith(f"{CAPTION}/"))


def _shuffles(track: EncodedTrack, sampling: Sampling) -> tuple[str, ...]:
    if not sampling.shuffle_tags:
        return ()
    return tuple(name for name in track.other_texts if name.startswith(f"{SHUFFLE}/"))


def _groups(tracks: Sequence[EncodedTrack], by: str) -> list[list[EncodedTrack]]:
    groups: dict[str, list[EncodedTrack]] = defaultdict(list)
    for track in tracks:
        groups[track.style if by == "style" else track.track].append(track)
    return [groups[name] for name in sorted(groups)]
