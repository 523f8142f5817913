"""Networks of half precision that take and give float32, so that nobody around them must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def set_parameter_type(network: nn.Module, dtype: torch.dtype) -> None:
    """Turn the floating parameters of `network` into `dtype`, in place.

    Buffers stay as they are: windows and filter banks are tables for arithmetic in float32.
    """
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def answer_in_float32(network: nn.Module, dtype: torch.dtype) -> None:
    """Have `network`, whose parameters are `dtype`, take and give float32 when it is called."""

    def enter(_network: nn.Module, inputs: Any, named: Any) -> tuple[Any, Any]:
        return _turn(inputs, dtype), _turn(named, dtype)

    def leave(_network: nn.Module, _inputs: Any, output: Any) -> Any:
        return _turn(output, torch.float32)

    network.register_forward_pre_hook(enter, with_kwargs=True)
    network.register_forward_hook(leave)


def _turn(value: Any, dtype: torch.dtype) -> Any:
    """Turn floating tensors, alone or in a tuple or mapping, into `dtype`; leave all else."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        turned = {key: _turn(part, dtype) for key, part in value.items()}
        return turned if type(value) is dict else type(value)(**turned)
    if isinstance(value, tuple):
        return tuple(_turn(part, dtype) for part in value)
    return value
