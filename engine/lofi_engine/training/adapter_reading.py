"""Reads any LoRA file: ours, PEFT's, diffusers', ACE-Step's published ones, kohya's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_files import StoredTensor, open_weights, read_headers, weight_files
from lofi_engine.models.weight_names import summarize_names
from lofi_engine.training.adapter_config import Config, checked_config, module_rank, module_scale
from lofi_engine.training.adapter_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    LOADERS_CONFIG,
    LOW_BITS,
    TRAINED_CONFIG,
    is_folded,
    named_base,
)
from lofi_engine.training.adapter_names import (
    ALPHA,
    DOWN,
    MAGNITUDE,
    PEFT_PREFIX,
    TABLE_DOWN,
    TABLE_UP,
    UP,
    Parsed,
    other_kind,
    parse_names,
)
from lofi_runtime.atomic import read_json

if TYPE_CHECKING:
    import torch

_FLOATS = ("F32", "F16", "BF16")
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class AdapterFile:
    """A LoRA file that was found whole; its weights are read when they are asked for.

    Args:
        file: where the weights lie.
        form: "peft", "diffusers" or "kohya".
        parsed: its tensors by module and part.
        stored: their types and shapes.
        config: the PEFT config it was trained under, where anything says so.
        alphas: by module, the alpha that stands in a tensor of its own.
        metadata: of the file.
    """

    file: Path
    form: str
    parsed: Parsed
    stored: Mapping[str, StoredTensor]
    config: Config | None
    alphas: Mapping[str, float]
    metadata: Mapping[str, str]

    @property
    def base(self) -> str | None:
        """The base it says it was made for."""
        named = (self.config or {}).get("base_model_name_or_path")
        return str(named) if named else named_base(self.metadata)

    @property
    def is_dora(self) -> bool:
        """Whether it holds magnitudes."""
        return any(MAGNITUDE in parts for parts in self.parsed.parts.values())

    def rank(self, module: str) -> int:
        """Give a module's rank, from its weights."""
        parts = self.parsed.parts[module]
        return self.stored[parts.get(DOWN) or parts[TABLE_DOWN]].shape[0]

    def shape(self, module: str) -> tuple[int, int]:
        """Give (outputs, inputs) of the layer that a module's adapter fits."""
        parts = self.parsed.parts[module]
        if DOWN in parts:
            down, up = self.stored[parts[DOWN]].shape, self.stored[parts[UP]].shape
            inputs = 1
            for size in down[1:]:
                inputs *= size
            return up[0], inputs
        table, width = self.stored[parts[TABLE_DOWN]].shape, self.stored[parts[TABLE_UP]].shape
        return table[1], width[0]

    def trained_scale(self, module: str) -> float | None:
        """Give the factor of a module's product in training; None where nothing says it."""
        if self.config is not None:
            return module_scale(self.config, module)
        if module in self.alphas:
            return self.alphas[module] / self.rank(module)
        return None

    def scale_left(self, module: str) -> float:
        """Give the factor that is still to be applied to a module's weights as they are stored."""
        scale = None if is_folded(self.metadata) else self.trained_scale(module)
        return 1.0 if scale is None else scale

    def tensors(self) -> dict[str, torch.Tensor]:
        """Read every tensor as it is stored.

        Raises:
            StageError: a weight is not finite.
        """
        with open_weights(self.file) as opened:
            read = {name: opened.get_tensor(name) for name in self.stored}
        for name, tensor in read.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise StageError(
                    f"{self.file}: {name} holds values that are not finite",
                    hint="train it again, or fetch it again",
                )
        return read


def read_adapter(path: Path) -> AdapterFile:
    """Read which LoRA lies at `path`: a safetensors file, or a folder with one.

    A folder that holds both forms is read as PEFT's.

    Raises:
        StageError: there is none, it is damaged or a pickle, it is another kind of adapter, or
            its config says other ranks than its weights have.
    """
    file = _file_at(path)
    stored = read_headers(weight_files(file, file.name))
    parsed = parse_names(name for name in stored if name != LOW_BITS)
    _check_pairs(file, parsed, stored)
    with open_weights(file) as opened:
        metadata = dict(opened.metadata() or {})
        alphas = {
            module: _alpha(file, parts[ALPHA], opened.get_tensor(parts[ALPHA]))
            for module, parts in parsed.parts.items()
            if ALPHA in parts
        }
    form = _form(file, parsed)
    config = _config(file, form, metadata)
    adapter = AdapterFile(file, form, parsed, stored, config, alphas, metadata)
    _check_ranks(adapter)
    return adapter


def _file_at(path: Path) -> Path:
    if not path.is_dir():
        return path
    for folder in (path, path / "adapter"):
        for name in (ADAPTER_WEIGHTS, DIFFUSERS_WEIGHTS):
            if (folder / name).is_file():
                return folder / name
    found = sorted(path.glob(f"*{_SUFFIX}"))
    if len(found) == 1:
        return found[0]
    weight_files(path, ADAPTER_WEIGHTS)  # says so where there are pickles alone
    there = f"; it holds {', '.join(file.name for file in found)}" if found else ""
    raise StageError(
        f"{path}: holds neither {ADAPTER_WEIGHTS} nor {DIFFUSERS_WEIGHTS}{there}",
        hint="name the safetensors file itself",
    )


def _check_pairs(file: Path, parsed: Parsed, stored: Mapping[str, StoredTensor]) -> None:
    """Refuse a file whose tensors are not pairs of a LoRA."""
    whole = [
        module
        for module, parts in parsed.parts.items()
        if {DOWN, UP} <= parts.keys() or {TABLE_DOWN, TABLE_UP} <= parts.keys()
    ]
    if not whole:
        kind = other_kind(stored)
        raise StageError(
            f"{file}: no LoRA: it holds {summarize_names(stored) or 'no tensors'}",
            hint=f"it looks like {kind}, which is not read" if kind else "name a LoRA's file",
        )
    halves = sorted(parsed.parts.keys() - set(whole))
    if halves:
        raise StageError(
            f"{file}: has one half of a pair alone for {summarize_names(halves)}",
            hint="fetch it again, or make it again",
        )
    for module in whole:
        parts = parsed.parts[module]
        down, up = (DOWN, UP) if DOWN in parts else (TABLE_DOWN, TABLE_UP)
        for name in (parts[down], parts[up]):
            if stored[name].dtype not in _FLOATS and not _is_widened(name, stored):
                raise StageError(
                    f"{file}: {name} is {stored[name].dtype}; {', '.join(_FLOATS)} are read"
                )
        shapes = stored[parts[down]].shape, stored[parts[up]].shape
        if min(map(len, shapes)) < 2 or shapes[0][0] != shapes[1][1] or shapes[0][0] == 0:
            raise StageError(
                f"{file}: the pair of {module} does not multiply: {shapes[1]} by {shapes[0]}",
                hint="fetch it again, or make it again",
            )


def _alpha(file: Path, name: str, tensor: torch.Tensor) -> float:
    if tensor.numel() != 1 or not bool(tensor.isfinite().all()):
        raise StageError(
            f"{file}: {name} is no single number", hint="fetch it again, or make it again"
        )
    return float(tensor)


def _is_widened(name: str, stored: Mapping[str, StoredTensor]) -> bool:
    return stored[name].dtype == "F64"  # written so where the scale would have cost bits


def _form(file: Path, parsed: Parsed) -> str:
    beside = (file.parent / ADAPTER_CONFIG).is_file() and file.name == ADAPTER_WEIGHTS
    if beside or parsed.prefix == PEFT_PREFIX:
        return "peft"
    names = next(iter(parsed.parts.values())).values()
    if parsed.is_underscored or any(
        name.endswith(("lora_up.weight", ".up.weight")) for name in names
    ):
        return "kohya"
    return "diffusers"


def _config(file: Path, form: str, metadata: Mapping[str, str]) -> Config | None:
    place: str | Path = file
    try:
        if form == "peft":
            place = file.parent / ADAPTER_CONFIG
            return checked_config(read_json(place)) if place.is_file() else None
        if TRAINED_CONFIG in metadata:
            return checked_config(json.loads(metadata[TRAINED_CONFIG]))
        if LOADERS_CONFIG in metadata:
            return checked_config(_without_prefix(json.loads(metadata[LOADERS_CONFIG])))
    except ValueError as error:
        raise StageError(
            f"{place}: the adapter's config is damaged ({error})", hint="fetch it again"
        ) from error
    return None


def _without_prefix(config: Any) -> Any:
    """Undo the network's name that pipelines write before every key."""
    if not isinstance(config, dict) or "r" in config:
        return config
    return {key.partition(".")[2] or key: value for key, value in config.items()}


def _check_ranks(adapter: AdapterFile) -> None:
    if adapter.config is None:
        return
    for module in adapter.parsed.parts:
        said = module_rank(adapter.config, module)
        if said != adapter.rank(module):
            raise StageError(
                f"{adapter.file}: {module} has rank {adapter.rank(module)}, its config says {said}",
                hint="config and weights are not of one adapter; fetch both again",
            )
