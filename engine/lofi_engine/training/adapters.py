"""LoRA adapters by PEFT on a transformer: put on, read out, put back.

On disk they are `adapter_files`; what others import from both is named here.

LoRA: Hu et al. 2021; DoRA, which learns each weight's magnitude apart: Liu et al. 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_names import Shape, describe_misfit
from lofi_engine.recipe.model import Lora
from lofi_engine.training.adapter_config import scale_of
from lofi_engine.training.adapter_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    base_of_adapter,
    load_adapter_weights,
    save_adapter,
    save_for_ace_step,
)
from lofi_engine.training.adapter_names import TABLE_UP, UP
from lofi_engine.training.adapter_targets import check_lora, places_of

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "DIFFUSERS_WEIGHTS",
    "adapter_norm",
    "adapter_weights",
    "add_adapter",
    "base_of_adapter",
    "load_adapter_weights",
    "save_adapter",
    "save_for_ace_step",
    "scale_of",
    "set_adapter_weights",
]


def add_adapter(transformer: torch.nn.Module, lora: Lora, seed: int) -> PeftModel:
    """Put a fresh adapter on `transformer` (in place) and return the PEFT model around it.

    Raises:
        StageError: a target names no module of this base, or one that takes no adapter, or the
            rank is larger than a targeted layer.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    check_lora(lora, places_of(transformer))
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,  # PEFT takes fractions too
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        target_modules=list(lora.targets),
        lora_dropout=0.0,
        bias="none",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(transformer, config)


def adapter_weights(model: PeftModel) -> dict[str, torch.Tensor]:
    """Read the adapter's weights out of a PEFT model, float32, by PEFT's names."""
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: weights[name].detach().float().contiguous() for name in sorted(weights)}


def set_adapter_weights(
    model: PeftModel, weights: Mapping[str, torch.Tensor], *, source: Path | None = None
) -> None:
    """Put weights back into a PEFT model.

    Args:
        model: what `add_adapter` gave.
        weights: by PEFT's names.
        source: the folder they were read from; a refusal then names it and the base it was made
            for, where the folder says so.

    Raises:
        StageError: names are missing or unknown (PEFT itself would load nothing in silence), or
            a shape differs; all are listed.
    """
    from peft import set_peft_model_state_dict

    known = {name: tuple(tensor.shape) for name, tensor in adapter_weights(model).items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    misfit = describe_misfit(known, given)
    if misfit:
        made_for = source and base_of_adapter(source)
        raise StageError(
            f"{f'{source}: ' if source else ''}the adapter does not fit this base: {misfit}"
            f"{_ranks(known, given)}{f'; it says it is for {made_for}' if made_for else ''}",
            hint="take an adapter made for this base and this recipe's lora, or train it again",
        )
    set_peft_model_state_dict(model, dict(weights))


def _ranks(known: Mapping[str, Shape], given: Mapping[str, Shape]) -> str:
    """Say so where the ranks alone differ."""
    if known.keys() != given.keys():
        return ""
    downs = [name for name in known if name.endswith(".lora_A.weight")]
    if any(known[name][1:] != given[name][1:] for name in downs):
        return ""
    ranks = {(given[name][0], known[name][0]) for name in downs}
    if len(ranks) != 1:
        return ""
    ((given_rank, known_rank),) = ranks
    return f"; its rank is {given_rank}, the recipe's lora.r is {known_rank}"


def adapter_norm(weights: Mapping[str, Any]) -> float:
    """Give the root of the sum of squares over every `lora_B`: 0 means it changes nothing.

    DoRA's magnitudes are not in it: they move from the same step on as `lora_B` does.
    """
    total = sum(
        float(tensor.double().square().sum())
        for name, tensor in weights.items()
        if name.endswith((f".{UP}", f".{TABLE_UP}"))
    )
    return math.sqrt(total)
