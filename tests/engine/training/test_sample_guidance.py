"""The torch networks asked as players ask an exported bundle: the same sound comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lofi_engine.measuring.render import open_unpublished
from lofi_engine.models.registry import FAMILIES
from lofi_engine.stages.export import MERGED
from lofi_engine.training import sample_guidance
from lofi_engine.training.held import hold_base
from lofi_engine.training.sample_guidance import ENTROPY_RECTIFIED, PLAIN, ask, guidance_of
from lofi_engine.training.samples import render_prompt
from lofi_runtime.backend import Request
from tests.support.exported_tiny import TINY, exported_tiny, merged_tiny
from tests.support.tiny_training import tiny_base

SUNG = "[verse]\nRain on the window"


@pytest.fixture(scope="module")
def merged():
    return FAMILIES[TINY.family].load(
        TINY.model,
        revision=TINY.revision,
        lyric_vocabulary=None,
        home=Path(),
        transformer=merged_tiny() / MERGED,
    )


@pytest.mark.parametrize("lyrics", ["", SUNG])
def test_a_prompt_sounds_as_the_exported_bundle_plays_it(merged, lyrics):
    folder, _, _ = exported_tiny()
    player = open_unpublished(folder, FAMILIES[TINY.family].pipeline_config(merged), threads=1)
    request = Request(
        prompt="jazz lofi, piano", lyrics=lyrics, duration_sec=5, seed=3, inference_steps=8
    )
    played = player.generate(request, lambda *_: None).samples
    found = render_prompt(
        merged, "jazz lofi, piano", lyrics=lyrics, seed=3, duration_sec=5, steps=8
    ).samples
    assert found.shape == played.shape == (2, 240_000)
    assert np.abs(found - played).max() < 2e-3 * np.abs(played).max()


def test_the_guidance_is_the_entropy_rectified_one(merged, monkeypatch):
    assert guidance_of(merged) == ENTROPY_RECTIFIED
    rectified = render_prompt(merged, "jazz lofi", duration_sec=5, steps=4).samples
    monkeypatch.setattr(sample_guidance, "_can_weaken", lambda _base: False)
    assert guidance_of(merged) == PLAIN
    plain = render_prompt(merged, "jazz lofi", duration_sec=5, steps=4).samples
    assert np.abs(rectified - plain).max() > 0.01


@pytest.mark.parametrize("precision", ["bf16", "8bit", "4bit"])
def test_a_base_held_in_fewer_bits_is_asked_alike(precision):
    base = tiny_base()
    hold_base(base.transformer, precision)
    with torch.inference_mode():
        asked = ask(base, "jazz lofi", SUNG)
        noise = np.random.default_rng(0).normal(size=(2, 8, 16, 12)).astype(np.float32)
        given = noise, np.full(2, 500.0, np.float32)
        found = asked.velocity(*given, asked.guided)
        alone = asked.velocity(*(part[:1] for part in given), asked.conditional)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    spread = np.abs(alone).max()
    assert np.abs(found[:1] - alone).max() < 0.02 * spread  # the first row is not weakened
    assert np.abs(found[1:] - alone).max() > 0.02 * spread
