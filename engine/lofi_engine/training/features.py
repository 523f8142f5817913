"""What training knows of one track: latents, text, lyrics, what audio models hear; in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base, Conditioning


@dataclass(frozen=True)
class Features:
    """The features of one track, without a batch axis.

    Args:
        latents: (8, 16, frames) float32.
        text_states: (tokens, width) float32.
        lyric_ids: (lyric_tokens,) int64.
        ssl: by model, what it hears in the whole track, (feature frames, width) float32, at the
            model's own frame rate; empty where no model was asked.
    """

    latents: torch.Tensor
    text_states: torch.Tensor
    lyric_ids: torch.Tensor
    ssl: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def window_ssl(self, start: int, frames: int) -> dict[str, torch.Tensor]:
        """Cut what belongs to `frames` latent frames from `start` out of each model's features."""
        whole = self.latents.shape[-1]
        return {
            name: one[_place(start, len(one), whole) : _place(start + frames, len(one), whole)]
            for name, one in self.ssl.items()
        }


def _place(frame: int, features: int, frames: int) -> int:
    return round(frame * features / frames)


def window_frames(base: Base, window_sec: float) -> int:
    """Give the latent frames of a window, at least one."""
    return max(1, int(window_sec * base.sample_rate / base.frame_samples))


def stack_conditioning(features: Sequence[Features], speaker_width: int) -> Conditioning:
    """Pad the conditions of several tracks into one batch; the speaker is unknown, so zeros."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from lofi_engine.models.family import Conditioning

    def mask(lengths: list[int]) -> torch.Tensor:
        return (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()

    return Conditioning(
        text_states=pad_sequence([one.text_states for one in features], batch_first=True),
        text_mask=mask([len(one.text_states) for one in features]),
        speaker=torch.zeros(len(features), speaker_width),
        lyric_ids=pad_sequence([one.lyric_ids for one in features], batch_first=True),
        lyric_mask=mask([len(one.lyric_ids) for one in features]),
    )
