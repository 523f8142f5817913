"""Adapters on the tiny base that do something, and the real loaders of their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from lofi_engine.models.family import Base
from lofi_engine.recipe.model import Lora
from lofi_engine.training.adapters import (
    DIFFUSERS_WEIGHTS,
    adapter_weights,
    add_adapter,
    set_adapter_weights,
)
from lofi_engine.training.features import stack_conditioning
from tests.support.tiny_training import LORA, features, tiny_base


def random_weights(lora: Lora = LORA, seed: int = 3) -> tuple[Base, dict[str, torch.Tensor]]:
    """Give a tiny base that carries an adapter of random weights, and those by PEFT's names."""
    base = tiny_base()
    model = add_adapter(base.transformer, lora, seed)
    draws = torch.Generator().manual_seed(seed)
    weights = {
        name: (tensor if "magnitude" in name else 0)
        + 0.1 * torch.randn(tensor.shape, generator=draws)
        for name, tensor in adapter_weights(model).items()
    }
    set_adapter_weights(model, weights)
    return base, weights


def answer(base: Base) -> torch.Tensor:
    """Give the velocity for one fixed question, with a voice and lyrics."""
    base.transformer.eval()
    made = features(7, frames=6, lyrics=4)
    told = stack_conditioning([made], base.speaker_width)
    told.speaker.copy_(torch.linspace(-1, 1, base.speaker_width))
    with torch.inference_mode():
        return base.velocity(made.latents[None], torch.tensor([500.0]), told)


def load_as_ace_step(base: Base, folder: Path, *, with_metadata: bool, strength: float) -> None:
    """Load the file with diffusers onto a ModelMixin, as ACE-Step's pipeline does; in place.

    Without metadata it is read as diffusers read it before it looked there.
    """
    from diffusers import ConfigMixin, ModelMixin
    from diffusers.configuration_utils import register_to_config
    from diffusers.loaders.peft import PeftAdapterMixin
    from diffusers.utils import set_weights_and_activate_adapters
    from safetensors.torch import load_file

    class Holder(ModelMixin, ConfigMixin, PeftAdapterMixin):
        @register_to_config
        def __init__(self) -> None:
            super().__init__()

    holder = Holder()
    for name, child in base.transformer.named_children():
        setattr(holder, name, child)
    file = folder / DIFFUSERS_WEIGHTS
    given = str(file) if with_metadata else load_file(file)
    holder.load_lora_adapter(given, adapter_name="ours", with_alpha=True, prefix=None)
    set_weights_and_activate_adapters(holder, ["ours"], [strength])
    for name, child in holder.named_children():
        setattr(base.transformer, name, child)


def add_as_comfyui(base: Base, tensors: Mapping[str, torch.Tensor], strength: float) -> None:
    """Add a file's products to the weights as ComfyUI's rule is; in place.

    For `MODULE.lora_A.weight` and `MODULE.lora_B.weight` it adds strength x alpha / rank x B x A,
    where alpha / rank is 1 unless there is a tensor `MODULE.alpha`.
    """
    transformer = base.transformer
    with torch.no_grad():
        for name, up in tensors.items():
            if not name.endswith(".lora_B.weight"):
                continue
            module = name.removesuffix(".lora_B.weight")
            down = tensors[f"{module}.lora_A.weight"]
            alpha = tensors.get(f"{module}.alpha")
            factor = 1.0 if alpha is None else float(alpha) / down.shape[0]
            transformer.get_submodule(module).weight += strength * factor * (up @ down)
