"""From one form of an adapter to the other, both ways, without the loss of a bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_names import summarize_names
from lofi_engine.recipe.model import Lora
from lofi_engine.training.adapter_config import Config, config_of
from lofi_engine.training.adapter_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    LOW_BITS,
    facts_of,
    is_folded,
    save_diffusers,
    save_peft,
    unfolded,
)
from lofi_engine.training.adapter_names import ALPHA, MAGNITUDE, PEFT_PREFIX
from lofi_engine.training.adapter_reading import AdapterFile

if TYPE_CHECKING:
    import torch

FORMS = ("peft", "diffusers")
FILES = {"peft": (ADAPTER_WEIGHTS, ADAPTER_CONFIG), "diffusers": (DIFFUSERS_WEIGHTS,)}
"""What each form's folder holds."""


def convert_adapter(adapter: AdapterFile, form: str, folder: Path) -> tuple[Path, ...]:
    """Write an adapter into `folder` in another form.

    Args:
        adapter: any that `read_adapter` read.
        form: "peft" or "diffusers".
        folder: made if it is not there.

    Returns:
        The files written.

    Raises:
        StageError: the folder holds such a file already, or the adapter holds what the form
            cannot carry.
    """
    files = tuple(folder / name for name in FILES[form])
    for file in files:
        if file.exists():
            raise StageError(f"{file}: is there already", hint="name another folder with --out")
    weights, config = as_trained(adapter)
    facts = facts_of(adapter.metadata, config)
    (save_peft if form == "peft" else save_diffusers)(folder, weights, config, facts)
    return files


def as_trained(adapter: AdapterFile) -> tuple[dict[str, torch.Tensor], Config]:
    """Give an adapter's weights by PEFT's names, without its scale, and its config.

    Where nothing states an alpha, it is the rank: what loaders that find none play.

    Raises:
        StageError: it holds tensors that are no LoRA's, or modules that cannot be named.
    """
    _check_can_be_carried(adapter)
    tensors = adapter.tensors()
    if is_folded(adapter.metadata) and adapter.config is not None:
        return unfolded(adapter.file, tensors, adapter.metadata), adapter.config
    weights = {
        f"{PEFT_PREFIX}{module}.{part}": _plain(tensors[name], part)
        for module, parts in adapter.parsed.parts.items()
        for part, name in parts.items()
        if part != ALPHA
    }
    return weights, adapter.config or _worked_out(adapter)


def _plain(tensor: torch.Tensor, part: str) -> torch.Tensor:
    # kohya's magnitude is (outputs, 1)
    return tensor.flatten() if part == MAGNITUDE else tensor


def _check_can_be_carried(adapter: AdapterFile) -> None:
    others = [name for name in adapter.parsed.others if name != LOW_BITS]
    if others:
        raise StageError(
            f"{adapter.file}: holds tensors that are no LoRA's: {summarize_names(others)}",
            hint="merge such an adapter instead",
        )
    if adapter.parsed.is_underscored:
        raise StageError(
            f"{adapter.file}: names modules with underscores for dots ({adapter.parsed.prefix}...)",
            hint="which dots they were cannot be known; take the file in diffusers' names",
        )
    if any(name.endswith(".dora_scale") for name in adapter.stored):
        raise StageError(
            f"{adapter.file}: holds kohya's DoRA, whose norms others take over the other axis",
            hint="merge it with the program it was made by",
        )


def _worked_out(adapter: AdapterFile) -> dict[str, Any]:
    """Make a config from ranks and alphas as they stand in the file."""
    ranks = {module: adapter.rank(module) for module in adapter.parsed.parts}
    alphas = {module: adapter.alphas.get(module, float(ranks[module])) for module in ranks}
    rank, alpha = _commonest(ranks), _commonest(alphas)
    lora = Lora(rank, alpha, rslora=False, targets=tuple(ranks), dora=adapter.is_dora)
    config = config_of(lora, adapter.base or "")
    if any(name.endswith(".bias") for name in adapter.stored):
        config["lora_bias"] = True
    config |= _pattern("rank_pattern", ranks, rank) | _pattern("alpha_pattern", alphas, alpha)
    return config


def _commonest(values: Mapping[str, Any]) -> Any:
    return Counter(values.values()).most_common(1)[0][0]


def _pattern(key: str, values: Mapping[str, Any], default: Any) -> dict[str, dict[str, Any]]:
    """Give what differs from the default; `^` keeps PEFT from matching longer names too."""
    found = {f"^{module}": value for module, value in values.items() if value != default}
    return {key: found} if found else {}
