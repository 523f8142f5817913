"""Merges an adapter into the weights it sits on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import nn


def merge_adapter(model: PeftModel) -> nn.Module:
    """Merge every adapter of `model` into its layer, in place, and give the plain network.

    Weights are never held twice. A layer whose adapter is zero keeps its bits: adding a product of
    zeros would turn -0.0 into 0.0.

    Raises:
        ValueError: the base is held in 8 or 4 bits; merge into one of full precision.
    """
    from peft.tuners.lora import LoraLayer

    network: nn.Module = model.get_base_model()
    if getattr(network, "is_loaded_in_8bit", False) or getattr(network, "is_loaded_in_4bit", False):
        raise ValueError("an adapter is merged into a base of full precision")
    for name, layer in list(network.named_modules()):
        if isinstance(layer, LoraLayer) and _is_zero(layer):
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, layer.get_base_layer())
    merged: nn.Module = model.merge_and_unload()
    return merged


def _is_zero(layer: nn.Module) -> bool:
    """Say whether a layer's adapter adds nothing at all."""
    import torch

    parts = layer.named_parameters()
    adapter = {name: part for name, part in parts if name.startswith("lora_")}
    ups = [
        part for name, part in adapter.items() if name.startswith(("lora_B", "lora_embedding_B"))
    ]
    if any(bool(part.any()) for part in ups):
        return False
    magnitudes = [part for name, part in adapter.items() if name.startswith("lora_magnitude")]
    if not magnitudes:
        return True
    weight = layer.get_submodule("base_layer").get_parameter("weight").detach()
    own = torch.linalg.norm(weight.flatten(1), dim=1).to(weight.dtype)
    # To rounding: another number of threads adds in another order.
    return all(torch.allclose(part.detach().flatten(), own, rtol=1e-6) for part in magnitudes)
