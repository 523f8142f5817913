"""How far a sound is from another in short-time spectra at several resolutions, differentiable.

Yamamoto et al., "Parallel WaveGAN", 2020, section 2.2: spectral convergence plus the error of
log-magnitudes, averaged over resolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESOLUTIONS = ((256, 64), (512, 128), (1024, 256), (2048, 512), (4096, 1024))
"""FFT size and hop, in samples."""
_FLOOR = 1e-4


class SpectralLoss(nn.Module):
    """Compares (batch, samples) at every resolution."""

    def __init__(self, resolutions: Sequence[tuple[int, int]] = RESOLUTIONS) -> None:
        super().__init__()
        self.resolutions = tuple(resolutions)
        for size, _ in self.resolutions:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """Give one number; 0 for equal sounds."""
        losses = []
        for size, hop in self.resolutions:
            window = self.get_buffer(f"window_{size}")
            guess, target = (_magnitude(one, size, hop, window) for one in (made, true))
            convergence = torch.linalg.vector_norm(target - guess) / (
                torch.linalg.vector_norm(target) + _FLOOR
            )
            losses.append(convergence + F.l1_loss(guess.log(), target.log()))
        return torch.stack(losses).mean()


def _magnitude(sound: Tensor, size: int, hop: int, window: Tensor) -> Tensor:
    bins = torch.stft(sound, size, hop, window=window, return_complex=True)
    scale = window.square().sum().sqrt()
    return torch.sqrt(bins.real.square() + bins.imag.square() + 1e-9) / scale + _FLOOR
