"""Linear layers as the plain matrix products that later passes read.

A linear layer's weight is kept (outputs, inputs); MatMul takes it the other way round. Left to the
exporter, the transpose is folded into a matrix with a made-up name, or left in the graph, where
quantizers pass it by. Here the weight is seen transposed before anything is exported: nothing needs
folding, names stay the checkpoint's, and no weight is copied.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class _Product(nn.Module):
    """A linear layer whose weight is a transposed view of another's."""

    bias: nn.Parameter | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().t(), requires_grad=False)
        self.bias = linear.bias

    def forward(self, states: Tensor) -> Tensor:
        """Do what the linear layer does."""
        product = torch.matmul(states, self.weight)
        return product if self.bias is None else product + self.bias


def with_products(module: nn.Module) -> nn.Module:
    """Give `module` with every linear layer as a product; `module` stays as it is.

    Both share all weights.
    """
    return _with_products(module, {})


def _with_products(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if module not in done:
        if type(module) is nn.Linear:
            done[module] = _Product(module)
        else:
            done[module] = twin = copy.copy(module)
            twin.__dict__["_modules"] = {
                name: child if child is None else _with_products(child, done)
                for name, child in module._modules.items()
            }
    return done[module]
