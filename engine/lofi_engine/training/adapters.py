"""LoRA adapters by PEFT: put on, read out, put back, written for PEFT and for ACE-Step.

LoRA: Hu et al. 2021; rank-stabilised scale alpha / sqrt(r): Kalajdzievski 2023.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_names import Shape, describe_misfit
from lofi_engine.recipe.model import Lora
from lofi_engine.tensors import save_tensors
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
DIFFUSERS_WEIGHTS = "pytorch_lora_weights.safetensors"
"""What ACE-Step's own `load_lora` looks for at a repository's root."""
_AGAIN = "train it again (not finite: with a lower training.learning_rate), or fetch it again"
_BASE_KEYS = ("base", "base_model", "ss_base_model_version", "modelspec.architecture")
"""Where trainers write the base into a file's metadata: ours, then others in use."""


def scale_of(lora: Lora) -> float:
    """Give the factor of the adapter's product: alpha / sqrt(r) with rsLoRA, else alpha / r."""
    return lora.alpha / math.sqrt(lora.r) if lora.rslora else lora.alpha / lora.r


def add_adapter(transformer: torch.nn.Module, lora: Lora, seed: int) -> PeftModel:
    """Put a fresh adapter on `transformer` (in place) and return the PEFT model around it.

    Raises:
        StageError: a target names no module of this base, or one that takes no adapter.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    for target in lora.targets:
        _check_target(transformer, target)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,  # PEFT takes fractions too
        use_rslora=lora.rslora,
        target_modules=list(lora.targets),
        lora_dropout=0.0,
        bias="none",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(transformer, config)


def _check_target(transformer: torch.nn.Module, target: str) -> None:
    from torch.nn import Conv1d, Conv2d, Embedding, Linear

    named = [
        module
        for name, module in transformer.named_modules()
        if name == target or name.endswith(f".{target}")
    ]
    hint = "see the recipe reference for the modules that take adapters"
    if not named:
        raise StageError(f"lora.targets: '{target}' names no module of this base", hint=hint)
    for module in named:
        if not isinstance(module, Linear | Conv1d | Conv2d | Embedding):
            raise StageError(
                f"lora.targets: '{target}' names a {type(module).__name__}, which takes no adapter",
                hint=hint,
            )


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


def save_adapter(
    folder: Path, weights: Mapping[str, torch.Tensor], lora: Lora, facts: Mapping[str, str]
) -> None:
    """Write an adapter into `folder` as PEFT reads it.

    Args:
        folder: made if it is not there.
        weights: by PEFT's names, as `adapter_weights` gives them.
        lora: rank, alpha, rsLoRA and targets, written to the config and the metadata.
        facts: more metadata (base, step).
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / ADAPTER_WEIGHTS, weights, {**_stated(lora), **facts})
    write_json(folder / ADAPTER_CONFIG, _config(lora, facts), sort_keys=True)


def save_for_ace_step(
    folder: Path, weights: Mapping[str, torch.Tensor], lora: Lora, facts: Mapping[str, str]
) -> None:
    """Write an adapter into `folder` as ACE-Step's `load_lora` reads it.

    The scale is in the weights: a loader that gives it weight 1 plays the adapter as it was
    trained. Arguments as for `save_adapter`.
    """
    # Loaders of this file read no alpha, or read it from this block, which says that no scale is
    # left to apply.
    plain = {**_config(lora, facts), "lora_alpha": lora.r, "use_rslora": False}
    metadata = {"lora_adapter_metadata": json.dumps(plain, sort_keys=True)}
    scaled = _with_scale(weights, scale_of(lora))
    save_tensors(folder / DIFFUSERS_WEIGHTS, scaled, {**metadata, **_stated(lora), **facts})


def _stated(lora: Lora) -> dict[str, str]:
    return {
        "rank": str(lora.r),
        "alpha": str(lora.alpha),
        "rslora": str(lora.rslora).lower(),
        "scale": repr(scale_of(lora)),
    }


def _config(lora: Lora, facts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": facts.get("base", ""),
        "r": lora.r,
        "lora_alpha": lora.alpha,
        "use_rslora": lora.rslora,
        "target_modules": sorted(lora.targets),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }


def _with_scale(weights: Mapping[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """Name weights as the transformer names its modules, and put the scale into every `lora_B`.

    ACE-Step loads them into the transformer itself (`prefix=None`): no name goes before its own.
    """
    return {
        name.removeprefix("base_model.model."): tensor * scale if "lora_B" in name else tensor
        for name, tensor in weights.items()
    }


def load_adapter_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read an adapter's weights, float32, by PEFT's names.

    Raises:
        StageError: the file is missing, damaged or a pickle, or a weight is not finite.
    """
    from lofi_engine.models.weight_files import AGAIN
    from lofi_engine.models.weights import read_weights

    try:
        return read_weights(folder / ADAPTER_WEIGHTS, ADAPTER_WEIGHTS)
    except StageError as error:
        raise StageError(error.message, hint=error.hint.replace(AGAIN, _AGAIN)) from error


def base_of_adapter(folder: Path) -> str | None:
    """Give the base that an adapter's config or metadata names; None where they name none."""
    from lofi_engine.models.weight_files import open_weights

    with contextlib.suppress(OSError, ValueError, AttributeError):
        named = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
        if named:
            return str(named)
    with contextlib.suppress(StageError), open_weights(folder / ADAPTER_WEIGHTS) as opened:
        metadata = opened.metadata() or {}
        return next((metadata[key] for key in _BASE_KEYS if metadata.get(key)), None)
    return None


def adapter_norm(weights: Mapping[str, Any]) -> float:
    """Give the root of the sum of squares over every `lora_B`: 0 means it changes nothing."""
    total = sum(
        float(tensor.double().square().sum())
        for name, tensor in weights.items()
        if "lora_B" in name
    )
    return math.sqrt(total)
