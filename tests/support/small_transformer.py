"""The engine's torch transformer with the golden files' weights, as the loop's `velocity`."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from safetensors.numpy import load_file

GOLDEN = Path(__file__).parents[1] / "golden"


@cache
def small_transformer():
    from lofi_engine.models.ace_step_v1.config import LyricEncoderConfig, TransformerConfig
    from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
    from tests.golden.fill import fill_

    read = json.loads((GOLDEN / "transformer_small.json").read_text(encoding="utf-8"))
    config = replace(
        TransformerConfig.from_mapping(read["config"]),
        lyric_encoder=LyricEncoderConfig.from_mapping(read["lyric_encoder"]),
    )
    return fill_(AceStepTransformer(config)).eval()


@cache
def small_contexts():
    """The conditional context and mask, and both branches stacked."""
    import torch

    given = {
        name: torch.from_numpy(array[:1])
        for name, array in load_file(GOLDEN / "transformer_small.safetensors").items()
    }

    def encode(text_states, lyric_ids):
        return small_transformer().encode(
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


def small_velocity(latents, timestep, conditioning):
    import torch

    every_frame = torch.ones(len(latents), latents.shape[-1])
    with torch.no_grad():
        return (
            small_transformer()
            .decode(
                torch.from_numpy(latents), every_frame, *conditioning, torch.from_numpy(timestep)
            )
            .numpy()
        )
