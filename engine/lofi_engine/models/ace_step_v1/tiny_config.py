"""The shapes of `builtin:tiny`, as data: importing this loads no network, so planning reads it."""

from __future__ import annotations

from lofi_engine.models.ace_step_v1.config import (
    ErgConfig,
    LyricEncoderConfig,
    TransformerConfig,
    VocoderConfig,
)

TRANSFORMER = TransformerConfig(
    num_layers=4,
    attention_head_dim=16,
    num_attention_heads=4,
    mlp_ratio=2.5,
    speaker_embedding_dim=512,
    text_embedding_dim=64,
    lyric_encoder_vocab_size=275,
    lyric_hidden_size=32,
    max_position=4096,
    max_width=4096,
    ssl_encoder_depths=(1, 1),
    ssl_latent_dims=(24, 16),
    lyric_encoder=LyricEncoderConfig(
        output_size=32, attention_heads=2, linear_units=64, num_blocks=2
    ),
    erg=ErgConfig(decoder_layers=(2, 4), lyric_encoder_layers=(1, 2), text_encoder_layers=(1, 2)),
)
VOCODER = VocoderConfig(
    depths=(1, 1, 1, 1),
    dims=(32, 32, 48, 64),
    upsample_rates=(8, 8, 4, 2),
    upsample_kernel_sizes=(16, 16, 8, 4),
    resblock_kernel_sizes=(3, 7),
    resblock_dilation_sizes=((1, 3), (1, 3)),
    num_mels=64,
    upsample_initial_channel=64,
    pre_conv_kernel_size=7,
    post_conv_kernel_size=7,
)
_CHANNELS = [8, 16, 32, 32]
_BLOCKS = ["ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"]
DCAE = {
    "in_channels": 2,
    "latent_channels": 8,
    "attention_head_dim": 8,
    "encoder_block_types": _BLOCKS,
    "decoder_block_types": _BLOCKS,
    "encoder_block_out_channels": _CHANNELS,
    "decoder_block_out_channels": _CHANNELS,
    "encoder_layers_per_block": [1, 1, 1, 1],
    "decoder_layers_per_block": [1, 1, 1, 1],
    "encoder_qkv_multiscales": [[], [], [5], [5]],
    "decoder_qkv_multiscales": [[], [], [5], [5]],
    "upsample_block_type": "interpolate",
    "downsample_block_type": "Conv",
    "decoder_norm_types": "rms_norm",
    "decoder_act_fns": "silu",
    "scaling_factor": 0.41407,
}
TEXT = {
    "vocab_size": 463,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "feed_forward_proj": "gated-gelu",
    "pad_token_id": 0,
    "eos_token_id": 1,
}
