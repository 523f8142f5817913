"""Which modules an adapter can be put on, and whether a recipe's `lora` fits them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.models.weight_names import Shape
from lofi_engine.recipe.model import Lora
from lofi_engine.recipe.problems import did_you_mean

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Places:
    """The modules of a transformer.

    Args:
        adaptable: by name, (outputs, inputs) of each that takes an adapter.
        others: by name, the kind of each that takes none.
    """

    adaptable: Mapping[str, Shape]
    others: Mapping[str, str]


def places_of(transformer: nn.Module) -> Places:
    """List a transformer's modules, in whatever precision its weights are held."""
    from torch.nn import Conv1d, Conv2d, Embedding, Linear

    adaptable: dict[str, Shape] = {}
    others: dict[str, str] = {}
    for name, module in transformer.named_modules():
        if isinstance(module, Linear):  # weights held in few bits are stored in another shape
            adaptable[name] = (module.out_features, module.in_features)
        elif isinstance(module, Conv1d | Conv2d | Embedding):
            weight = module.weight
            adaptable[name] = (weight.shape[0], weight[0].numel())
        else:
            others[name] = type(module).__name__
    return Places(adaptable, others)


def matching(target: str, names: Iterable[str]) -> list[str]:
    """Give the names that a target means: those it is, or is the end of."""
    return [name for name in names if name == target or name.endswith(f".{target}")]


def ending(name: str) -> str:
    """Give the end of a module's name as a recipe's target writes it: `to_q`, `to_out.0`."""
    parts = name.split(".")
    words = [place for place, part in enumerate(parts) if not part.isdecimal()]
    return ".".join(parts[max(words, default=0) :])


def check_lora(lora: Lora, places: Places) -> None:
    """Refuse a `lora` block that does not fit a base.

    Raises:
        StageError: a target names no module, or one that takes no adapter (those that do are
            listed), or the rank is larger than a targeted layer.
    """
    for target in lora.targets:
        _check_target(target, places)
    targeted = {
        name: places.adaptable[name]
        for target in lora.targets
        for name in matching(target, places.adaptable)
    }
    name, shape = min(targeted.items(), key=lambda item: (min(item[1]), item[0]))
    if lora.r > min(shape):
        raise StageError(
            f"lora.r: {lora.r} is larger than {name} of this base, which has {shape[1]} inputs "
            f"and {shape[0]} outputs",
            hint=f"use at most {min(shape)}, or leave '{ending(name)}' out of lora.targets",
        )


def _check_target(target: str, places: Places) -> None:
    if matching(target, places.adaptable):
        return
    endings = sorted({ending(name) for name in places.adaptable})
    found = matching(target, places.others)
    said = (
        f"names a {places.others[found[0]]}, which takes no adapter"
        if found
        else f"names no module of this base{did_you_mean(target, endings)}"
    )
    raise StageError(
        f"lora.targets: '{target}' {said}",
        hint=f"modules that take adapters: {', '.join(endings)}",
    )
