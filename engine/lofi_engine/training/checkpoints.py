"""Training checkpoints: everything a run needs to go on as if it had never stopped.

Adapter, optimizer and every random state, as safetensors: no pickle anywhere. A checkpoint folder
appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.tensors import save_tensors

if TYPE_CHECKING:
    import torch

_STATE = "state.safetensors"
_LOOP = "loop.json"


@dataclass(frozen=True)
class Checkpoint:
    """A resting point of a training run.

    Args:
        step: optimiser steps taken.
        adapter: the adapter's weights by PEFT's names.
        optimizer: the optimizer's tensors, by "parameter index/name of the moment".
        generator: state of the sampler's generator.
        global_generator: state of torch's global generator (dropout draws from it).
        losses: loss of every step so far.
        threads: torch threads; another count may round differently.
    """

    step: int
    adapter: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, torch.Tensor]
    generator: torch.Tensor
    global_generator: torch.Tensor
    losses: tuple[float, ...]
    threads: int


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as `folder/step-NNNNNNN`."""
    place = folder / name_of(checkpoint.step)
    aside = folder / f".{place.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tensors = {f"adapter/{name}": tensor for name, tensor in checkpoint.adapter.items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in checkpoint.optimizer.items()}
    tensors |= {"generator": checkpoint.generator, "global": checkpoint.global_generator}
    save_tensors(aside / _STATE, tensors)
    loop = {
        "step": checkpoint.step,
        "losses": list(checkpoint.losses),
        "threads": checkpoint.threads,
    }
    (aside / _LOOP).write_text(json.dumps(loop), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint with the highest step in `folder`, or None where there is none.

    Raises:
        StageError: it is damaged; going on without it would be starting over in silence.
    """
    places = all_checkpoints(folder)
    return read_checkpoint(places[-1]) if places else None


def all_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoint folders in `folder`, by step."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def read_checkpoint(place: Path) -> Checkpoint:
    """Read one checkpoint folder.

    Raises:
        StageError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = dict(load_file(place / _STATE))
        loop = json.loads((place / _LOOP).read_text(encoding="utf-8"))
        return Checkpoint(
            step=loop["step"],
            adapter=_below("adapter/", tensors),
            optimizer=_below("optimizer/", tensors),
            generator=tensors["generator"],
            global_generator=tensors["global"],
            losses=tuple(loop["losses"]),
            threads=loop["threads"],
        )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{place}: the checkpoint is damaged ({error})",
            hint="delete this folder to go on from the one before it",
        ) from error


def name_of(step: int) -> str:
    """Name a checkpoint's folder, so that names sort as steps do."""
    return f"step-{step:07d}"


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
