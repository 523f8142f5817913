"""What a bundle does without: weights that never run, or that only training needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torch import nn

from lofi_engine.models.ace_step_v1.attention import CrossAttention

if TYPE_CHECKING:
    from lofi_engine.models.ace_step_v1.base import AceStepBase
    from lofi_engine.models.family import GraphSpec

_LENGTH, _DIRECTION, _FOLDED = "weight_g", "weight_v", "weight"


def left_out(base: AceStepBase, graphs: Iterable[GraphSpec]) -> dict[str, int]:
    """Count the weights of `base` that none of `graphs` holds, by what they are.

    A weight-normed layer's direction counts as held: its length is worked into it.
    """
    held = {name for spec in graphs for name in spec.module.state_dict()}
    counts: dict[str, int] = defaultdict(int)
    networks: dict[str, nn.Module] = {
        "transformer": base.transformer,
        "DCAE": base.dcae,
        "vocoder": base.vocoder,
        "text encoder": base.text.network,
    }
    for network, module in networks.items():
        for names, parameter in _parameters(module).items():
            if not any(_held_as(name) in held for name in names):
                counts[_kind(network, names[0])] += parameter.numel()
    return dict(counts)


def _parameters(module: nn.Module) -> Mapping[tuple[str, ...], nn.Parameter]:
    """Give every parameter once, by all its names."""
    names: dict[nn.Parameter, list[str]] = defaultdict(list)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names[parameter].append(name)
    return {tuple(known): parameter for parameter, known in names.items()}


def _held_as(name: str) -> str:
    """Give the name a graph's module would hold a weight under."""
    layer, _, last = name.rpartition(".")
    return f"{layer}.{_FOLDED}" if last == _DIRECTION else name


def _kind(network: str, name: str) -> str:
    parts = name.split(".")
    if parts[-1] == _LENGTH:
        return "lengths of weight norm"
    if any(part in CrossAttention.NEVER_RUN for part in parts):
        return "cross_attn.add_* and to_add_out"
    return parts[0] if network == "transformer" else f"{network} {parts[0]}"
