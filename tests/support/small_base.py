"""A base's recipe of the smallest networks: everything that makes a base, in seconds."""

from __future__ import annotations

from pathlib import Path

from lofi_engine.pretraining.settings import BaseSettings

TEXT = """\
version: 1
name: small
seed: 3
tracks: {per_style: 0, per_plain: 1, held_out_per_style: 0, held_out_per_plain: 1, duration_sec: 5}
dcae: {steps: 4, batch_size: 2, window_sec: 0.4, learning_rate: 1.0e-3, robust_from: 2}
vocoder: {steps: 4, batch_size: 1, window_sec: 0.1, learning_rate: 1.0e-3, adversarial_from: 2}
sound: {steps: 4, batch_size: 1, window_sec: 0.2, learning_rate: 1.0e-3, adversarial_from: 2}
transformer: {steps: 4, batch_size: 2, window_sec: 2, learning_rate: 1.0e-3}
networks:
  music_dcae_f8c8:
    in_channels: 2
    latent_channels: 8
    attention_head_dim: 8
    encoder_block_types: [ResBlock, ResBlock, ResBlock, ResBlock]
    decoder_block_types: [ResBlock, ResBlock, ResBlock, ResBlock]
    encoder_block_out_channels: [8, 8, 16, 16]
    decoder_block_out_channels: [8, 8, 16, 16]
    encoder_layers_per_block: [0, 1, 1, 1]
    decoder_layers_per_block: [0, 1, 1, 1]
    encoder_qkv_multiscales: [[], [], [], []]
    decoder_qkv_multiscales: [[], [], [], []]
    downsample_block_type: Conv
    upsample_block_type: pixel_shuffle
    decoder_norm_types: rms_norm
    decoder_act_fns: silu
    scaling_factor: 1.0
  music_vocoder:
    depths: [1, 1, 1, 1]
    dims: [16, 16, 16, 16]
    num_mels: 16
    upsample_initial_channel: 16
    upsample_rates: [8, 8, 8]
    upsample_kernel_sizes: [16, 16, 16]
    resblock_kernel_sizes: [3]
    resblock_dilation_sizes: [[1]]
    pre_conv_kernel_size: 3
    post_conv_kernel_size: 3
  umt5-base:
    {vocab_size: 2048, d_model: 16, d_kv: 8, d_ff: 16, num_layers: 1, num_heads: 2,
     relative_attention_num_buckets: 8, relative_attention_max_distance: 32,
     feed_forward_proj: gated-gelu, dropout_rate: 0.0, pad_token_id: 0, eos_token_id: 1}
  ace_step_transformer:
    num_layers: 1
    attention_head_dim: 8
    num_attention_heads: 2
    mlp_ratio: 2
    speaker_embedding_dim: 8
    text_embedding_dim: 16
    lyric_encoder_vocab_size: 275
    lyric_hidden_size: 8
    max_position: 512
    max_width: 512
    ssl_encoder_depths: []
    ssl_names: []
    ssl_latent_dims: []
    lyric_encoder: {output_size: 8, attention_heads: 1, linear_units: 8, num_blocks: 1}
    erg: {decoder_layers: [0, 1], lyric_encoder_layers: [0, 1], text_encoder_layers: [0, 1]}
"""


def write_recipe(folder: Path, text: str = TEXT) -> Path:
    """Write the recipe and give its path."""
    path = folder / "small-base.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def small_settings(folder: Path, text: str = TEXT) -> BaseSettings:
    """Read the recipe."""
    return BaseSettings.read(write_recipe(folder, text))
