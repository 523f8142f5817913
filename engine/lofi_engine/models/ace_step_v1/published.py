"""The configuration of ACE-Step/ACE-Step-v1-3.5B, so that planning needs no download.

The values of the repository's config.json files, by folder, as far as they shape a weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REPOSITORY = "ACE-Step/ACE-Step-v1-3.5B"

TRANSFORMER, DCAE, VOCODER, TEXT = (
    "ace_step_transformer",
    "music_dcae_f8c8",
    "music_vocoder",
    "umt5-base",
)
PARTS = (TRANSFORMER, DCAE, VOCODER, TEXT)
"""The folders of a base, each with its config.json."""

_DCAE_BLOCKS = ["ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"]
_DCAE_CHANNELS = [128, 256, 512, 1024]

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    TRANSFORMER: {
        "num_layers": 24,
        "inner_dim": 2560,
        "attention_head_dim": 128,
        "num_attention_heads": 20,
        "mlp_ratio": 2.5,
        "in_channels": 8,
        "out_channels": 8,
        "patch_size": [16, 1],
        "max_height": 16,
        "max_width": 32768,
        "max_position": 32768,
        "rope_theta": 1_000_000.0,
        "speaker_embedding_dim": 512,
        "text_embedding_dim": 768,
        "lyric_encoder_vocab_size": 6693,
        "lyric_hidden_size": 1024,
        "ssl_encoder_depths": [8, 8],
        "ssl_names": ["mert", "m-hubert"],
        "ssl_latent_dims": [1024, 768],
    },
    DCAE: {
        "in_channels": 2,
        "latent_channels": 8,
        "attention_head_dim": 32,
        "encoder_block_types": _DCAE_BLOCKS,
        "decoder_block_types": _DCAE_BLOCKS,
        "encoder_block_out_channels": _DCAE_CHANNELS,
        "decoder_block_out_channels": _DCAE_CHANNELS,
        "encoder_layers_per_block": [2, 2, 3, 3],
        "decoder_layers_per_block": [3, 3, 3, 3],
        "encoder_qkv_multiscales": [[], [], [5], [5]],
        "decoder_qkv_multiscales": [[], [], [5], [5]],
        "downsample_block_type": "Conv",
        "upsample_block_type": "interpolate",
        "decoder_norm_types": "rms_norm",
        "decoder_act_fns": "silu",
        "scaling_factor": 0.41407,
    },
    VOCODER: {},  # `VocoderConfig`'s defaults are the published values
    TEXT: {
        "vocab_size": 256_384,
        "d_model": 768,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 12,
        "num_heads": 12,
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu",
    },
}
