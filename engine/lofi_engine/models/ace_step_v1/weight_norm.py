"""Weight-normed convolutions with the checkpoint's keys `weight_g` and `weight_v`.

torch's own `weight_norm` is deprecated, and its successor names the parameters otherwise. Salimans
and Kingma, "Weight Normalization", 2016: weight = g * v / |v|, one length per first axis.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _combine(length: Tensor, direction: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
    return direction * (length / norm)


class WeightNormConv1d(nn.Module):
    """A 1-D convolution, padded to keep the length."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.padding = dilation * (kernel - 1) // 2
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_g = nn.Parameter(torch.ones(outputs, 1, 1))
        self.weight_v = nn.Parameter(torch.randn(outputs, inputs, kernel))

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames)."""
        weight = _combine(self.weight_g, self.weight_v)
        return F.conv1d(states, weight, self.bias, padding=self.padding, dilation=self.dilation)

    def plain(self) -> nn.Conv1d:
        """Give the same convolution with its weight worked out."""
        outputs, inputs, kernel = self.weight_v.shape
        conv = nn.Conv1d(inputs, outputs, kernel, padding=self.padding, dilation=self.dilation)
        conv.weight = nn.Parameter(_combine(self.weight_g, self.weight_v).detach())
        conv.bias = nn.Parameter(self.bias.detach().clone())
        return conv


class WeightNormConvTranspose1d(nn.Module):
    """A transposed 1-D convolution that multiplies the length by `stride`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.padding = (kernel - stride) // 2
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_g = nn.Parameter(torch.ones(inputs, 1, 1))
        self.weight_v = nn.Parameter(torch.randn(inputs, outputs, kernel))

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, stride * frames)."""
        weight = _combine(self.weight_g, self.weight_v)
        return F.conv_transpose1d(
            states, weight, self.bias, stride=self.stride, padding=self.padding
        )

    def plain(self) -> nn.ConvTranspose1d:
        """Give the same convolution with its weight worked out."""
        inputs, outputs, kernel = self.weight_v.shape
        conv = nn.ConvTranspose1d(inputs, outputs, kernel, stride=self.stride, padding=self.padding)
        conv.weight = nn.Parameter(_combine(self.weight_g, self.weight_v).detach())
        conv.bias = nn.Parameter(self.bias.detach().clone())
        return conv


def remove_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normed convolution inside `module` by its plain one, in place."""
    for name, child in module.named_children():
        if isinstance(child, WeightNormConv1d | WeightNormConvTranspose1d):
            setattr(module, name, child.plain())
        else:
            remove_weight_norm(child)
