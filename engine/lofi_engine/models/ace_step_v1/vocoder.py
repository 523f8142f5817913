"""The vocoder: log-mel to a waveform, and the log-mel it understands."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.config import VocoderConfig
from lofi_engine.models.ace_step_v1.conv_next import ConvNeXt
from lofi_engine.models.ace_step_v1.hifi_gan import HiFiGan
from lofi_engine.models.ace_step_v1.log_mel import LogMel


class Vocoder(nn.Module):
    """ConvNeXt backbone and HiFi-GAN head.

    Raises:
        StageError: the configuration asks for something the published vocoder does not have.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        if config.use_template or len(config.kernel_sizes) != 1:
            raise StageError(
                f"vocoder: use_template={config.use_template}, kernel_sizes={config.kernel_sizes}"
                " is not an ACE-Step v1 vocoder: it has no template and one kernel size"
            )
        if prod(config.upsample_rates) != config.hop_length:
            raise StageError(
                f"vocoder: upsample_rates multiply to {prod(config.upsample_rates)}, "
                f"but hop_length is {config.hop_length}"
            )
        self.config = config
        self.backbone = ConvNeXt(config)
        self.head = HiFiGan(config)
        self.mel_transform = LogMel(config)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Turn (batch, 128, frames) into (batch, 1, 512 * frames) at 44.1 kHz, within -1 to 1."""
        waveform: Tensor = self.head(self.backbone(log_mel))
        return waveform
