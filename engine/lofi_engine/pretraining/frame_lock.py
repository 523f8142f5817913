"""How much of a sound repeats with every mel frame: the buzz of small vocoders, differentiable.

Over a window of n whole frames, what repeats with each of them lies in every n-th bin of the
spectrum and nowhere else. Sound that knows nothing of frames has 1/n of its energy there; of a buzz
it is nearly all. The same is asked of the loudness within frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BANDS = 16
_STRETCH = 16
"""Samples whose loudness is one value."""
_FLOOR = 1e-8


def frame_lock(made: Tensor, true: Tensor, hop: int) -> Tensor:
    """Give how much more of `made` than of `true` is locked to frames of `hop` samples.

    Args:
        made: (batch, frames * hop).
        true: likewise; what is locked in it by chance is allowed.
        hop: samples of a frame, a multiple of 16.

    Returns:
        The mean excess over bands of the spectrum, and of the loudness', in nepers of energy; 0
        where there is none.
    """
    excess = [
        torch.relu(_locked(one, hop // step, bands) - torch.relu(_locked(two, hop // step, bands)))
        for one, two, step, bands in (
            (made, true, 1, _BANDS),
            (_loudness(made), _loudness(true), _STRETCH, 1),
        )
    ]
    return torch.stack([one.mean() for one in excess]).sum()


def _loudness(sound: Tensor) -> Tensor:
    """Give the amplitude of every few samples, around its mean, (batch, samples / 16)."""
    power = torch.unflatten(sound, -1, (-1, _STRETCH)).square().mean(-1)
    amplitude = (power + _FLOOR).sqrt()
    around: Tensor = amplitude - amplitude.mean(-1, keepdim=True)
    return around


def _locked(signal: Tensor, period: int, bands: int) -> Tensor:
    """Give the energy that repeats with the period over what chance would have, (batch, bands)."""
    frames = signal.shape[-1] // period
    spectrum = torch.fft.rfft(signal[..., : frames * period]).abs().square()
    lines = (period // 2 - 1) // bands * bands
    # Bin 0 is the mean; around each line lie the bins that chance fills alike.
    around = spectrum[..., frames // 2 : frames // 2 + lines * frames]
    each = around.unflatten(-1, (lines, -1))
    on_line, all_of_it = each[..., frames - frames // 2], each.sum(-1)
    shares = on_line.unflatten(-1, (bands, -1)).sum(-1) + _FLOOR / frames
    whole = all_of_it.unflatten(-1, (bands, -1)).sum(-1) + _FLOOR
    times: Tensor = (shares / whole * frames).log()
    return times
