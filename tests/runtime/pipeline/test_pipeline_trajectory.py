"""Whole denoising runs over the engine's torch transformer equal the reference's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise

torch = pytest.importorskip("torch")

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = json.loads((GOLDEN / "trajectory_small.json").read_text(encoding="utf-8"))["cases"]
RUNS = load_file(GOLDEN / "trajectory_small.safetensors")


@pytest.fixture(scope="module")
def transformer():
    from lofi_engine.models.ace_step_v1.config import LyricEncoderConfig, TransformerConfig
    from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
    from tests.golden.fill import fill_

    read = json.loads((GOLDEN / "transformer_small.json").read_text(encoding="utf-8"))
    config = replace(
        TransformerConfig.from_mapping(read["config"]),
        lyric_encoder=LyricEncoderConfig.from_mapping(read["lyric_encoder"]),
    )
    return fill_(AceStepTransformer(config)).eval()


@pytest.fixture(scope="module")
def contexts(transformer):
    """The conditional context and mask, and both branches stacked."""
    given = {
        name: torch.from_numpy(array[:1])
        for name, array in load_file(GOLDEN / "transformer_small.safetensors").items()
    }

    def encode(text_states, lyric_ids):
        return transformer.encode(
            text_states,
            given["text_attention_mask"],
            torch.zeros_like(given["speaker_embeds"]),
            lyric_ids,
            given["lyric_mask"],
        )

    text_states, lyric_ids = given["encoder_text_hidden_states"], given["lyric_token_idx"]
    with torch.no_grad():
        conditional = encode(text_states, lyric_ids)
        unconditional = encode(torch.zeros_like(text_states), torch.zeros_like(lyric_ids))
    both = tuple(map(torch.cat, zip(conditional, unconditional, strict=True)))
    return conditional, both


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_trajectory_equals_the_reference(case, transformer, contexts):
    def velocity(latents, timestep, conditioning):
        every_frame = torch.ones(len(latents), latents.shape[-1])
        with torch.no_grad():
            return transformer.decode(
                torch.from_numpy(latents), every_frame, *conditioning, torch.from_numpy(timestep)
            ).numpy()

    given = CASES[case]
    settings = DenoiseSettings(
        inference_steps=given["infer_steps"],
        scheduler=given["scheduler_type"],
        guidance=given["cfg_type"],
        guidance_scale=given["guidance_scale"],
        guidance_interval=given.get("guidance_interval", 0.5),
        omega=given["omega_scale"],
    )
    conditional, both = contexts
    found = denoise(velocity, RUNS[f"{case}.noise"], conditional, both, settings=settings)
    expected = RUNS[f"{case}.latents"]
    assert np.abs(found - expected).max() / expected.std() < 1e-4
