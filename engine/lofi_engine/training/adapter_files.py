"""An adapter on disk: as PEFT reads it, and as ACE-Step, diffusers and ComfyUI read it.

The two forms hold the same weights. In PEFT's the scale is alpha and rank in a config beside them.
Many loaders of the other form read neither, so there the scale is in every `lora_B`: strength 1
plays what was trained, in each of them. Nothing is lost on the way (`adapter_scale`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Lora
from lofi_engine.tensors import save_tensors
from lofi_engine.training.adapter_config import (
    Config,
    config_of,
    module_scale,
    stated,
    unscaled,
    weights_sha256,
)
from lofi_engine.training.adapter_names import PEFT_PREFIX, is_up
from lofi_engine.training.adapter_scale import bytes_of_bits, fold, unfold
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    import torch

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
DIFFUSERS_WEIGHTS = "pytorch_lora_weights.safetensors"
"""What ACE-Step's own `load_lora` looks for at a repository's root."""

SHA256 = "weights_sha256"
LOADERS_CONFIG = "lora_adapter_metadata"
"""Where diffusers keeps a config in a file's metadata."""
TRAINED_CONFIG = "peft_config"
"""Where the config as trained is kept in a file whose scale is in its weights."""
LOW_BITS = "low_bits"
"""The tensor that undoing the scale may need; loaders know no such name and leave it."""
_UNFOLD = "peft_unfold"
_OF_THE_FORM = (LOADERS_CONFIG, TRAINED_CONFIG, _UNFOLD)

_AGAIN = "train it again (not finite: with a lower training.learning_rate), or fetch it again"
_BASE_KEYS = ("base", "base_model", "ss_base_model_version", "modelspec.architecture")
"""Where trainers write the base into a file's metadata: ours, then others in use."""


def save_adapter(
    folder: Path, weights: Mapping[str, torch.Tensor], lora: Lora, facts: Mapping[str, str]
) -> None:
    """Write an adapter into `folder` as PEFT reads it.

    Args:
        folder: made if it is not there.
        weights: by PEFT's names, as `adapter_weights` gives them.
        lora: rank, alpha, rsLoRA, DoRA and targets, written to the config and the metadata.
        facts: more metadata (base, step).
    """
    save_peft(folder, weights, config_of(lora, facts.get("base", "")), facts)


def save_for_ace_step(
    folder: Path, weights: Mapping[str, torch.Tensor], lora: Lora, facts: Mapping[str, str]
) -> None:
    """Write an adapter into `folder` as ACE-Step's `load_lora` reads it.

    The scale is in the weights: a loader that gives it weight 1 plays the adapter as it was
    trained. Arguments as for `save_adapter`.
    """
    save_diffusers(folder, weights, config_of(lora, facts.get("base", "")), facts)


def save_peft(
    folder: Path, weights: Mapping[str, torch.Tensor], config: Config, facts: Mapping[str, str]
) -> None:
    """Write weights, by PEFT's names, and the config they were trained under."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {**stated(config), **facts, SHA256: weights_sha256(weights)}
    save_tensors(folder / ADAPTER_WEIGHTS, weights, metadata)
    write_json(folder / ADAPTER_CONFIG, dict(config), sort_keys=True)


def save_diffusers(
    folder: Path, weights: Mapping[str, torch.Tensor], config: Config, facts: Mapping[str, str]
) -> None:
    """Write weights, given by PEFT's names, by the transformer's own and with the scale in them.

    ACE-Step loads them into the transformer itself (`prefix=None`): nothing goes before a name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors, undo = _folded(weights, config)
    modules = {_module(name) for name in weights}
    metadata = {
        **stated(config),
        **facts,
        SHA256: weights_sha256(weights),
        LOADERS_CONFIG: json.dumps(unscaled(config, modules), sort_keys=True),
        TRAINED_CONFIG: json.dumps(dict(config), sort_keys=True),
        _UNFOLD: json.dumps(undo, sort_keys=True),
    }
    save_tensors(folder / DIFFUSERS_WEIGHTS, tensors, metadata)


def is_folded(metadata: Mapping[str, str]) -> bool:
    """Say whether a file's scale is in its weights, by `save_diffusers`."""
    return TRAINED_CONFIG in metadata


def unfolded(
    file: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    """Give the weights that `save_diffusers` was given, bit for bit, by PEFT's names.

    Raises:
        StageError: they are not those that the file's own hash is of; it was changed since.
    """
    import torch

    try:
        config, undo = json.loads(metadata[TRAINED_CONFIG]), json.loads(metadata[_UNFOLD])
        types = {name: getattr(torch, kind) for name, kind in undo["types"].items()}
        bits, at, weights = tensors.get(LOW_BITS), 0, {}
        for name in sorted(tensors.keys() - {LOW_BITS}):
            tensor, kept = tensors[name], None
            if name in undo["bits"] and bits is not None:
                kept = bits[at : at + bytes_of_bits(tensor)]
                at += bytes_of_bits(tensor)
            if is_up(name):
                scale = module_scale(config, _module(name))
                tensor = unfold(tensor, scale, types.get(name, tensor.dtype), kept)
            weights[f"{PEFT_PREFIX}{name}"] = tensor
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise StageError(
            f"{file}: its own account of how it was made is damaged ({error})",
            hint="convert it again from the PEFT folder, or fetch it again",
        ) from error
    if weights_sha256(weights) != metadata.get(SHA256):
        raise StageError(
            f"{file}: its weights are not those it was made from",
            hint="it was changed since; convert it again from the PEFT folder, or fetch it again",
        )
    return weights


def facts_of(metadata: Mapping[str, str], config: Config) -> dict[str, str]:
    """Give what a file's metadata says besides what its form and its config say."""
    known = {"format", SHA256, *_OF_THE_FORM, *stated(config)}
    return {key: value for key, value in metadata.items() if key not in known}


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
        return named_base(opened.metadata() or {})
    return None


def named_base(metadata: Mapping[str, str]) -> str | None:
    """Give the base that a file's metadata names, whoever wrote it."""
    return next((metadata[key] for key in _BASE_KEYS if metadata.get(key)), None)


def _folded(
    weights: Mapping[str, torch.Tensor], config: Config
) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Give the tensors of the other form, and what undoing needs: types that changed, bits kept."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    types: dict[str, str] = {}
    bits: dict[str, torch.Tensor] = {}
    for full in sorted(weights):
        name, tensor = full.removeprefix(PEFT_PREFIX), weights[full].detach().cpu()
        tensors[name] = tensor
        if is_up(name):
            tensors[name], kept = fold(tensor, module_scale(config, _module(name)))
            if tensors[name].dtype != tensor.dtype:
                types[name] = str(tensor.dtype).removeprefix("torch.")
            if kept is not None:
                bits[name] = kept
    if bits:
        tensors[LOW_BITS] = torch.cat([bits[name] for name in sorted(bits)])
    return tensors, {"types": types, "bits": sorted(bits)}


def _module(name: str) -> str:
    """Give the module of a tensor that is named as PEFT or diffusers name it."""
    return name.removeprefix(PEFT_PREFIX).rpartition(".lora_")[0]
