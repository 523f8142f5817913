"""What benches train: the built-in tiny base, the full-size recipe's targets, random tracks."""

from __future__ import annotations

from pathlib import Path

import torch

from lofi_engine.models.ace_step_v1 import tiny_config
from lofi_engine.recipe.model import Base, ConditionDropout, Sampling, Training
from lofi_engine.training.encoded import EncodedTrack, write_index
from lofi_engine.training.features import Features
from lofi_engine.training.shards import write_shard

TINY = Base("ace-step-v1", "builtin:tiny", "1", None)
TARGETS = (
    "speaker_embedder", "linear_q", "linear_k", "linear_v", "to_q", "to_k", "to_v", "to_out.0",
)  # fmt: skip
TRAINING = Training(
    steps=10_000,
    batch_size=1,
    accumulate=1,
    learning_rate=1e-4,
    warmup_steps=0,
    precision="fp32",
    clip_grad_norm=0.5,
    window_sec=60.0,
    checkpoint_every=10_000,
    sample_every=10_000,
    timestep_shift=3.0,
    sampling=Sampling("track", shuffle_tags=True, recaption_share=0.0),
    condition_dropout=ConditionDropout(0.15, 0.15, 0.5),
)
"""Longer than any bench lets it run: no checkpoint and no sample comes in between."""


def write_tracks(
    folder: Path, count: int, *, frames: int, tokens: int, lyrics: int, precision: str = "fp32"
) -> None:
    """Write an encoded set of random tracks, all to train on.

    Args:
        folder: of the set.
        count: of tracks.
        frames: latent frames of each.
        tokens: text tokens of each.
        lyrics: lyric tokens of each.
        precision: on disk.
    """
    draws = torch.Generator().manual_seed(0)
    tracks = []
    for number in range(count):
        made = Features(
            latents=torch.randn(8, 16, frames, generator=draws),
            text_states=torch.randn(tokens, tiny_config.TEXT["d_model"], generator=draws),
            lyric_ids=torch.randint(0, 270, (lyrics,), generator=draws),
        )
        shard = f"shards/{number}.safetensors"
        write_shard(folder / shard, made, precision=precision)
        tracks.append(EncodedTrack(f"{number}", shard, frames, tokens, "train", ("CORE-01",)))
    write_index(folder, tracks)
