"""Weights that anyone can make again: a parameter's values depend on the seed and its name alone.

torch's own generators may change between versions; the raw stream of NumPy's Philox may not
(Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.weight_norm import WeightNormConvTranspose1d


def uniform(seed: int, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Draw values of zero mean and unit variance, equally likely from -sqrt(3) to sqrt(3)."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    bits = np.asarray(stream.random_raw(math.prod(shape)))
    unit = (bits >> np.uint64(11)) * 2.0**-53
    return ((2 * unit - 1) * math.sqrt(3)).astype(np.float32).reshape(shape)


def _inputs_of(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Count the values that are summed into one output."""
    if isinstance(module, nn.Embedding):
        return 1.0
    if isinstance(module, WeightNormConvTranspose1d):
        return shape[0] * shape[2] / module.stride
    return float(math.prod(shape[1:]))


def _value(module: nn.Module, seed: int, name: str, shape: tuple[int, ...]) -> Tensor:
    """Give a parameter's values: gains are one, biases zero, weights keep the variance."""
    if len(shape) == 1:
        own = name.rpartition(".")[2]
        return torch.full(shape, {"weight": 1.0, "gamma": 0.5}.get(own, 0.0))
    scale = 1 / math.sqrt(_inputs_of(module, shape))
    return torch.from_numpy(uniform(seed, name, shape)) * scale


@torch.no_grad()
def fill_seeded(
    network: nn.Module, *, seed: int, name: str, gains: Mapping[str, float] | None = None
) -> nn.Module:
    """Overwrite every parameter of `network` and return it in eval mode.

    Args:
        network: any of this family's networks; buffers are left alone.
        seed: any integer.
        name: the network's, so that two networks with equal keys differ.
        gains: factors by the end of a parameter's name, for the few that decide the level.
    """
    filled: set[int] = set()
    for path, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            # Tied parameters keep their first name's values; lengths are set with their direction.
            if id(parameter) in filled or own == "weight_g":
                continue
            filled.add(id(parameter))
            full = f"{path}.{own}"
            gain = math.prod(value for end, value in (gains or {}).items() if full.endswith(end))
            values = _value(module, seed, f"{name}.{full}", tuple(parameter.shape)) * gain
            parameter.copy_(values)
            if own == "weight_v":
                length = torch.linalg.vector_norm(values, dim=(1, 2), keepdim=True)
                dict(module.named_parameters(recurse=False))["weight_g"].copy_(length)
    return network.eval()
