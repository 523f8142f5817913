"""The music DCAE: log-mel to latents and back, around `diffusers.AutoencoderDC`.

Chen et al., "Deep Compression Autoencoder", 2024. One latent frame is 8 mel frames, 4096 samples at
44.1 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

SAMPLE_RATE = 44_100
SAMPLES_PER_FRAME = 4096
_MEL_LOW = -11.0
_MEL_HIGH = 3.0
_SCALE = 0.1786
_SHIFT = -1.9091


def build_dcae(config: Mapping[str, Any]) -> nn.Module:
    """Build the autoencoder from the Hub's config.json values."""
    from diffusers import AutoencoderDC

    module: nn.Module = AutoencoderDC.from_config(dict(config))
    return module.eval()


def encode_mel(encoder: nn.Module, log_mel: Tensor) -> Tensor:
    """Encode log-mel (batch, 2, 128, 8 * frames) to latents (batch, 8, 16, frames)."""
    unit = (log_mel - _MEL_LOW) / (_MEL_HIGH - _MEL_LOW)
    latents: Tensor = (encoder((unit - 0.5) / 0.5) - _SHIFT) * _SCALE
    return latents


def decode_latents(decoder: nn.Module, latents: Tensor) -> Tensor:
    """Decode latents (batch, 8, 16, frames) to log-mel (batch, 2, 128, 8 * frames)."""
    unit: Tensor = decoder(latents / _SCALE + _SHIFT) * 0.5 + 0.5
    return unit * (_MEL_HIGH - _MEL_LOW) + _MEL_LOW
