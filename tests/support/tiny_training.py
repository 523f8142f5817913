"""Training on the built-in tiny base: an encoded set made by hand, a trainer, one thread.

The latents of a style lie close to one pattern, so a few steps already learn something.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lofi_engine.models.family import Base
from lofi_engine.models.loading import load_base
from lofi_engine.recipe.model import Base as ModelBase
from lofi_engine.recipe.model import ConditionDropout, Lora, Sampling, Training
from lofi_engine.training.adapters import add_adapter
from lofi_engine.training.batches import Sampler
from lofi_engine.training.encoded import EncodedTrack, write_index
from lofi_engine.training.features import Features
from lofi_engine.training.held import hold_base
from lofi_engine.training.job import TrainingJob
from lofi_engine.training.loop import Trainer
from lofi_engine.training.report import StepReport
from lofi_engine.training.shards import write_shard
from tests.support.exported_tiny import TINY

LORA = Lora(r=4, alpha=8.0, rslora=True, targets=("to_q", "to_k", "to_v", "to_out.0"))
TRAINING = Training(
    steps=6,
    batch_size=1,
    accumulate=1,
    learning_rate=1e-3,
    warmup_steps=0,
    precision="fp32",
    clip_grad_norm=0.5,
    window_sec=1.0,
    checkpoint_every=2,
    sample_every=6,
    timestep_shift=3.0,
    sampling=Sampling("style", shuffle_tags=True, recaption_share=0.3),
    condition_dropout=ConditionDropout(0.15, 0.15, 0.5),
)
TEXT_WIDTH = 64
OTHER_TEXTS = ("caption/analysis", "shuffle/0")
SSL_WIDTHS = {"mert": 24, "mhubert": 16}
"""What the tiny base's projectors take."""
STYLES = ("CORE-01", "SEASON-06")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread, then give it back what it had."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tiny_base() -> Base:
    return load_base(TINY, Path())


def features(
    seed: int, *, frames: int = 16, tokens: int = 3, lyrics: int = 1, ssl: bool = False
) -> Features:
    """One track's features; tracks of equal parity of `seed` sound alike."""
    draws = torch.Generator().manual_seed(seed)
    style = torch.Generator().manual_seed(seed % 2)
    pattern = torch.randn(8, 16, 1, generator=style)
    return Features(
        latents=pattern + 0.1 * torch.randn(8, 16, frames, generator=draws),
        text_states=torch.randn(tokens, TEXT_WIDTH, generator=draws),
        lyric_ids=torch.randint(0, 270, (lyrics,), generator=draws),
        ssl={
            name: torch.randn(length * frames, SSL_WIDTHS[name], generator=draws)
            for name, length in (("mert", 7), ("mhubert", 5))
            if ssl
        },
    )


def write_encoded(
    folder: Path, splits: Sequence[str] = ("train", "train", "train", "validation"), **shape: Any
) -> tuple[EncodedTrack, ...]:
    """Write an encoded set as the encode stage leaves it; one track for each name of a split."""
    tracks = []
    for number, split in enumerate(splits):
        made = features(number, **shape)
        shard = f"shards/track-{number}.safetensors"
        others = {
            name: features(100 + number + place, tokens=2).text_states
            for place, name in enumerate(OTHER_TEXTS)
        }
        write_shard(folder / shard, made, other_states=others)
        tracks.append(
            EncodedTrack(
                track=f"track-{number}",
                shard=shard,
                frames=made.latents.shape[-1],
                tokens=len(made.text_states),
                split=split,
                style_ids=(STYLES[number % 2],),
                other_texts=OTHER_TEXTS,
            )
        )
    write_index(folder, tracks)
    return tuple(tracks)


def make_trainer(
    encoded: Path, tracks: Sequence[EncodedTrack], folder: Path, seed: int = 5, **changes: Any
) -> Trainer:
    """A trainer as the train stage builds it, on a base of its own."""
    settings = replace(TRAINING, **changes)
    base = tiny_base()
    base.transformer.requires_grad_(False)
    hold_base(base.transformer, settings.base_precision)
    model = add_adapter(base.transformer, LORA, seed)
    generator = torch.Generator().manual_seed(seed)
    sampler = Sampler(
        encoded,
        tracks,
        sampling=settings.sampling,
        window_frames=8,
        speaker_width=base.speaker_width,
        dropout=settings.condition_dropout,
        generator=generator,
    )
    return Trainer(base, model, sampler, settings, generator, folder, torch.device("cpu"))


def tiny_job(
    encoded: Path,
    progress: Path,
    *,
    home: Path | None = None,
    seed: int = 7,
    lora: Lora = LORA,
    base: ModelBase = TINY,
    **changes: Any,
) -> TrainingJob:
    """A job on one thread; `changes` are to `TRAINING`, `home` is where the progress lies."""
    training = replace(TRAINING, **changes)
    return TrainingJob(encoded, progress, home or progress.parent, seed, 1, base, lora, training)


def silent(_said: StepReport) -> None:
    """Report nothing."""
