"""A small base that has learned something: `builtin:tiny`'s shapes, its transformer trained.

Random weights show nothing of what an adapter teaches: there the first steps undo the randomness,
whatever the tracks are. This one has seen eight styles of synthesised tracks for some hundred
steps; its DCAE and text encoder stay random, so its latents are a projection of the sound that
nobody chose.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import torch

from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.family import Base
from lofi_engine.training.features import Features, stack_conditioning
from lofi_engine.training.flow import add_noise, denoising_loss, draw_sigmas
from tests.support.shared_work import once
from tests.support.tiny_training import one_thread, tiny_base

STYLES = (
    "CORE-01", "CORE-04", "CORE-06", "SEASON-02", "SEASON-06", "THEME-03", "THEME-07", "INST-03",
)  # fmt: skip
"""What it has heard; piano alone (INST-01) is not among them."""
TRACKS_A_STYLE = 3
TRACK_SEC = 10.0
STEPS = 300
BATCH, FRAMES, LEARNING_RATE, WARMUP = 4, 64, 2e-3, 20


@functools.cache
def learned_base() -> Path:
    """Give the base's folder (read-only, please); made once a test run, in about half a minute."""
    return once("learned-base", _learn)


def _learn(folder: Path) -> Path:
    with one_thread():
        base = tiny_base()
        tracks = [
            encode_track(base, style, seed) for style in STYLES for seed in range(TRACKS_A_STYLE)
        ]
        _train(base, tracks)
        base.transformer.requires_grad_(False).eval()
        checkpoint.save(base, folder / "base")
    return folder / "base"


def encode_track(base: Base, style: str, seed: int, duration_sec: float = TRACK_SEC) -> Features:
    """Synthesise a track and give its features; no lyrics."""
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.synth import compose, describe, render

    score = compose("", seed=seed, duration_sec=duration_sec, style=style)
    with torch.inference_mode():
        latents = base.encode_audio(render(score), SAMPLE_RATE)
        states, mask = base.encode_text([describe(score)["prompt"]])
    return Features(latents.clone(), states[0][mask[0].bool()].clone(), torch.tensor([0]))


def _train(base: Base, tracks: Sequence[Features]) -> None:
    """Train every weight of the transformer with flow matching, as the product trains adapters."""
    draws = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    parts = [part.requires_grad_(True) for part in base.transformer.parameters()]
    optimizer = torch.optim.AdamW(parts, lr=LEARNING_RATE)
    base.transformer.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP) * (1 - step / STEPS)
        chosen = [
            tracks[int(torch.randint(len(tracks), (1,), generator=draws))] for _ in range(BATCH)
        ]
        start = int(torch.randint(chosen[0].latents.shape[-1] - FRAMES + 1, (1,), generator=draws))
        latents = torch.stack([one.latents[..., start : start + FRAMES] for one in chosen])
        sigmas = draw_sigmas(BATCH, 3.0, draws)
        noisy = add_noise(latents, torch.randn(latents.shape, generator=draws), sigmas)
        told = stack_conditioning(chosen, base.speaker_width)
        velocity = base.velocity(noisy, sigmas * 1000, told)
        loss = denoising_loss(velocity, noisy, latents, sigmas).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts, 1.0)
        optimizer.step()
