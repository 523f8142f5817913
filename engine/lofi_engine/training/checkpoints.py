"""Training checkpoints: everything a run needs to go on as if it had never stopped.

A folder each: the adapter as PEFT reads it, and what resuming needs (optimizer, every random state)
in a file of its own, as safetensors: no pickle anywhere. Only the two newest keep that file: the
optimizer's moments are twice the adapter, and a week of training makes twenty checkpoints. A
checkpoint folder appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.tensors import save_tensors
from lofi_engine.training.adapters import ADAPTER_WEIGHTS, load_adapter_weights
from lofi_engine.training.history import History, history_from
from lofi_runtime.atomic import replace_folder

if TYPE_CHECKING:
    import torch

RESUME = "resume.safetensors"
_RESUMABLE = 2
LOOP = "loop.json"


@dataclass(frozen=True)
class Checkpoint:
    """A resting point of a training run.

    Args:
        step: optimiser steps taken.
        adapter: the adapter's weights by PEFT's names.
        optimizer: the optimizer's tensors, by "parameter index/name of the moment".
        generator: state of the sampler's generator.
        global_generator: state of torch's global generator (dropout draws from it).
        history: every step so far.
        threads: torch threads; another count may round differently.
        cuda_generator: state of the accelerator's generator, where there is one.
        scaler: state of the loss scaling, where the arithmetic is fp16.
    """

    step: int
    adapter: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, torch.Tensor]
    generator: torch.Tensor
    global_generator: torch.Tensor
    history: History
    threads: int
    cuda_generator: torch.Tensor | None = None
    scaler: Mapping[str, Any] = field(default_factory=dict)


WriteAdapter = Callable[[Path, Mapping[str, "torch.Tensor"], int], None]
"""`write(folder, weights, step)`: writes an adapter so that `load_adapter_weights` reads it."""


def write_bare(folder: Path, weights: Mapping[str, torch.Tensor], _step: int) -> None:
    """Write an adapter's weights alone, without the config that PEFT wants beside them."""
    save_tensors(folder / ADAPTER_WEIGHTS, weights)


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, write_adapter: WriteAdapter = write_bare
) -> None:
    """Write `checkpoint` as `folder/step-NNNNNNN`; older ones lose what resuming needs.

    Raises:
        StageError: the disk is full or cannot be written; the checkpoints before it are whole.
    """
    from safetensors import SafetensorError

    place = folder / name_of(checkpoint.step)
    aside = folder / f".{place.name}"
    try:
        _write(aside, checkpoint, write_adapter)
        replace_folder(aside, place)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise _unwritten(place, checkpoint, error) from error
    for older in all_checkpoints(folder)[:-_RESUMABLE]:
        (older / RESUME).unlink(missing_ok=True)


def _write(aside: Path, checkpoint: Checkpoint, write_adapter: WriteAdapter) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write_adapter(aside, checkpoint.adapter, checkpoint.step)
    save_tensors(aside / RESUME, _tensors(checkpoint))
    history = checkpoint.history
    styles, models = history.names()
    loop = {
        "step": checkpoint.step,
        "threads": checkpoint.threads,
        "styles": styles,
        "ssl_models": models,
        "held_out": history.held_out,
        "effects": history.effects,
        "stopped_early": history.stopped_early,
        "scaler": dict(checkpoint.scaler),
    }
    (aside / LOOP).write_text(json.dumps(loop), encoding="utf-8")


def _tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    tensors = {f"optimizer/{name}": tensor for name, tensor in checkpoint.optimizer.items()}
    tensors |= {f"history/{name}": one for name, one in checkpoint.history.tensors().items()}
    tensors |= {"generator": checkpoint.generator, "global": checkpoint.global_generator}
    if checkpoint.cuda_generator is not None:
        tensors["cuda"] = checkpoint.cuda_generator
    return tensors


def _unwritten(place: Path, checkpoint: Checkpoint, error: Exception) -> StageError:
    parts = (*checkpoint.adapter.values(), *_tensors(checkpoint).values())
    size = sum(part.numel() * part.element_size() for part in parts)
    kept = all_checkpoints(place.parent)
    last = f"; {kept[-1].name} before it is whole" if kept else ""
    mend = "make it writable" if isinstance(error, PermissionError) else "make room"
    return StageError(
        f"{place}: the checkpoint could not be written: {error}{last}",
        hint=f"a checkpoint takes {size / 1e6:.1f} MB: {mend} and run again, nothing else is lost",
    )


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
        tensors: dict[str, Any] = dict(load_file(place / RESUME))
        loop = json.loads((place / LOOP).read_text(encoding="utf-8"))
        return Checkpoint(
            step=loop["step"],
            adapter=load_adapter_weights(place),
            optimizer=_below("optimizer/", tensors),
            generator=tensors["generator"],
            global_generator=tensors["global"],
            history=_history(tensors, loop),
            threads=loop["threads"],
            cuda_generator=tensors.get("cuda"),
            scaler=loop["scaler"],
        )
    except (StageError, OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{place}: the checkpoint is damaged ({error})",
            hint="delete this folder to go on from the one before it",
        ) from error


def name_of(step: int) -> str:
    """Name a checkpoint's folder, so that names sort as steps do."""
    return f"step-{step:07d}"


def step_of(place: Path) -> int:
    """Give the step that a checkpoint's folder is named for."""
    return int(place.name.removeprefix("step-"))


def steps_done(folder: Path) -> int:
    """Give the step of the newest checkpoint in `folder`; 0 where there is none."""
    return max(map(step_of, all_checkpoints(folder)), default=0)


def _history(tensors: Mapping[str, torch.Tensor], loop: Mapping[str, Any]) -> History:
    history = history_from(_below("history/", tensors), loop["styles"], loop["ssl_models"])
    history.held_out = {int(step): value for step, value in loop["held_out"].items()}
    history.effects = {int(step): value for step, value in loop["effects"].items()}
    history.stopped_early = loop["stopped_early"]
    return history


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
