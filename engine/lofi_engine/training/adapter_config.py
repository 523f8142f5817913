"""What PEFT's config of a LoRA says of each module: rank, alpha, and the scale they give."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lofi_engine.recipe.model import Lora

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
"""A `LoraConfig` as `adapter_config.json` holds it."""

_FOR_LOADERS = (
    "base_model_name_or_path",
    "bias",
    "lora_bias",
    "fan_in_fan_out",
    "inference_mode",
    "lora_dropout",
    "peft_type",
    "rank_pattern",
    "task_type",
    "use_dora",
)
"""What a loader of the other form needs; one that is older than a key would refuse it."""


def checked_config(value: Any) -> dict[str, Any]:
    """Give what was read as an adapter's config, once its figures can be reckoned with.

    Raises:
        ValueError: it is no mapping, or one of its values is not what PEFT writes; names the key.
    """
    if not isinstance(value, dict):
        raise ValueError("it is no mapping")
    for key, (allowed, is_right) in _VALUES.items():
        if key in value and not is_right(value[key]):
            raise ValueError(f"{key} is {value[key]!r}, not {allowed}")
    return value


def _is_rank(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_alpha(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_pattern(value: Any, is_right: Callable[[Any], bool]) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or not all(map(is_right, value.values())):
        return False
    try:
        return all(re.compile(key) for key in value)
    except re.error:
        return False


def _are_targets(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return value is None or isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_VALUES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "r": ("a whole number above 0", _is_rank),
    "lora_alpha": ("a number", _is_alpha),
    "use_rslora": ("true or false", _is_flag),
    "use_dora": ("true or false", _is_flag),
    "target_modules": ("names of modules", _are_targets),
    "rank_pattern": ("ranks by modules' names", lambda value: _is_pattern(value, _is_rank)),
    "alpha_pattern": ("alphas by modules' names", lambda value: _is_pattern(value, _is_alpha)),
}
"""What a key may hold, in words and as a test."""


def scale_of(lora: Lora) -> float:
    """Give the factor of the adapter's product: alpha / sqrt(r) with rsLoRA, else alpha / r.

    LoRA: Hu et al. 2021; the rank-stabilised scale: Kalajdzievski 2023.
    """
    return _scale(lora.r, lora.alpha, lora.rslora)


def config_of(lora: Lora, base: str) -> dict[str, Any]:
    """Give the config of an adapter that a recipe's `lora` block describes."""
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "r": lora.r,
        "lora_alpha": lora.alpha,
        "use_rslora": lora.rslora,
        "use_dora": lora.dora,
        "target_modules": sorted(lora.targets),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }


def lora_of(config: Config) -> Lora:
    """Give the recipe's `lora` block that a config amounts to; ranks of single modules are lost."""
    targets = config.get("target_modules") or ()
    return Lora(
        r=int(config.get("r", 8)),
        alpha=float(config.get("lora_alpha", 8)),
        rslora=bool(config.get("use_rslora", False)),
        targets=(targets,) if isinstance(targets, str) else tuple(sorted(targets)),
        dora=bool(config.get("use_dora", False)),
    )


def module_rank(config: Config, module: str) -> int:
    """Give a module's rank."""
    return int(_of_module(config.get("rank_pattern"), module, config.get("r", 8)))


def module_alpha(config: Config, module: str) -> float:
    """Give a module's alpha."""
    return float(_of_module(config.get("alpha_pattern"), module, config.get("lora_alpha", 8)))


def module_scale(config: Config, module: str) -> float:
    """Give the factor of a module's product."""
    rslora = bool(config.get("use_rslora", False))
    return _scale(module_rank(config, module), module_alpha(config, module), rslora)


def unscaled(config: Config, modules: Iterable[str]) -> dict[str, Any]:
    """Give a config for loaders under which every module's scale is 1.

    Args:
        config: the adapter's own.
        modules: those it holds weights for; named one by one where the config picks them in a way
            that not every loader knows.
    """
    plain: dict[str, Any] = {key: config[key] for key in _FOR_LOADERS if key in config}
    plain |= {"r": config.get("r", 8), "lora_alpha": config.get("r", 8), "use_rslora": False}
    if config.get("rank_pattern"):
        plain["alpha_pattern"] = dict(config["rank_pattern"])
    targets = config.get("target_modules")
    by_ending = isinstance(targets, list | tuple) and not any(
        config.get(key) for key in ("exclude_modules", "layers_to_transform", "layers_pattern")
    )
    plain["target_modules"] = sorted(targets if by_ending and targets else modules)
    return plain


def stated(config: Config) -> dict[str, str]:
    """Give a config's figures as a file's metadata states them."""
    lora = lora_of(config)
    return {
        "rank": str(lora.r),
        "alpha": str(lora.alpha),
        "rslora": str(lora.rslora).lower(),
        "dora": str(lora.dora).lower(),
        "scale": repr(scale_of(lora)),
    }


def weights_sha256(weights: Mapping[str, torch.Tensor]) -> str:
    """Hash an adapter's weights: names as PEFT writes them, types, shapes and bits."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().contiguous().cpu()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _scale(rank: int, alpha: float, rslora: bool) -> float:
    return alpha / math.sqrt(rank) if rslora else alpha / rank


def _of_module(pattern: Any, module: str, default: Any) -> Any:
    if not pattern:
        return default
    from peft.utils.other import get_pattern_key

    return pattern.get(get_pattern_key(list(pattern), module), default)
