"""Log-mel spectrograms as the DCAE was trained on, with the vocoder checkpoint's buffer names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.config import VocoderConfig


class _Spectrogram(nn.Module):
    """Magnitudes of a short-time Fourier transform, frames centred on multiples of the hop."""

    window: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.n_fft = config.n_fft
        self.win_length = config.win_length
        self.hop_length = config.hop_length
        self.register_buffer("window", torch.hann_window(config.win_length))

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn (channels, samples) into (channels, n_fft / 2 + 1, samples / hop_length)."""
        spare = self.win_length - self.hop_length
        padded = F.pad(waveform[:, None], (spare // 2, (spare + 1) // 2), mode="reflect")[:, 0]
        bins = torch.stft(
            padded,
            self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            window=self.window,
            center=False,
            return_complex=True,
        )
        return torch.sqrt(bins.real.square() + bins.imag.square() + 1e-6)


class _MelScale(nn.Module):
    """The filter bank: Slaney's mel scale and area normalization."""

    fb: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(
            config.n_fft // 2 + 1,
            config.n_mels,
            config.f_min,
            config.f_max,
            config.sampling_rate,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("fb", torch.from_numpy(filters).float())

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Turn (channels, bins, frames) into (channels, mel_bins, frames)."""
        return (magnitudes.transpose(-1, -2) @ self.fb).transpose(-1, -2)


class LogMel(nn.Module):
    """Turn a waveform (channels, samples) into log-mel (channels, 128, samples / 512)."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.spectrogram = _Spectrogram(config)
        self.mel_scale = _MelScale(config)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute it; samples at the vocoder's rate, at least 769 of them."""
        mel: Tensor = self.mel_scale(self.spectrogram(waveform))
        return torch.log(torch.clamp(mel, min=1e-5))
