"""Small judges of sound for the vocoder's training; none of them is shipped.

Spectrograms at three resolutions, each seen by a few 2-D convolutions (Jang et al., "UnivNet",
2021), with least-squares losses (Mao et al., 2017) and feature matching (Kumar et al., "MelGAN",
2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""FFT size and hop, in samples."""
_CHANNELS = (16, 24, 32, 32)

Judgement = list[list[Tensor]]
"""Of each judge: what its layers saw, its verdict last."""


class _SpectrumJudge(nn.Module):
    """Sees log-magnitudes of one resolution."""

    def __init__(self, size: int, hop: int) -> None:
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        layers: list[nn.Module] = []
        width = 1
        for channels in _CHANNELS:
            layers.append(nn.Conv2d(width, channels, (5, 3), stride=(3, 1), padding=(2, 1)))
            width = channels
        self.layers = nn.ModuleList(layers)
        self.verdict = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, sound: Tensor) -> list[Tensor]:
        """Judge (batch, samples)."""
        bins = torch.stft(
            sound, self.size, self.hop, window=self.get_buffer("window"), return_complex=True
        )
        states = (bins.real.square() + bins.imag.square() + 1e-6).log()[:, None]
        seen = []
        for layer in self.layers:
            states = F.leaky_relu(layer(states), 0.1)
            seen.append(states)
        return [*seen, self.verdict(states)]


class Discriminators(nn.Module):
    """One judge for each resolution."""

    def __init__(self, resolutions: Sequence[tuple[int, int]] = RESOLUTIONS) -> None:
        super().__init__()
        self.judges = nn.ModuleList(_SpectrumJudge(size, hop) for size, hop in resolutions)

    def forward(self, sound: Tensor) -> Judgement:
        """Judge (batch, samples)."""
        return [judge(sound) for judge in self.judges]


def judge(true: Judgement, made: Judgement) -> Tensor:
    """Give the judges' own loss: true sounds are 1, made ones 0."""
    faults = [
        (1 - real[-1].float()).square().mean() + fake[-1].float().square().mean()
        for real, fake in zip(true, made, strict=True)
    ]
    return torch.stack(faults).mean()


def judged(made: Judgement) -> Tensor:
    """Give what the maker loses by being told apart."""
    return torch.stack([(1 - one[-1].float()).square().mean() for one in made]).mean()


def likeness(true: Judgement, made: Judgement) -> Tensor:
    """Give how far the judges' layers see the two apart."""
    gaps: Sequence[Tensor] = [
        F.l1_loss(guess.float(), seen.detach().float())
        for real, fake in zip(true, made, strict=True)
        for seen, guess in zip(real[:-1], fake[:-1], strict=True)
    ]
    return torch.stack(list(gaps)).mean()
