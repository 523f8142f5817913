"""A track's features on disk: one safetensors file a track, a shard of the encoded set.

A shard's tensors are `latents`, `text_states`, `lyric_ids`, the states of the track's other texts
under the texts' names, and features of audio models under "ssl/" and the model's name. What is
computed in float32 may lie there in half precision; it is read as float32. Its header tells by
itself what it holds and which base made it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_files import open_weights
from lofi_engine.tensors import save_tensors
from lofi_engine.training.features import Features

if TYPE_CHECKING:
    import torch

PROMPT = "text_states"
"""The name of the prompt's own states in a shard."""
ENCODE_AGAIN = "run again with --from encode"
"""The hint wherever an encoded set cannot be used."""
_BASE, _WARNINGS = "base", "warnings"
_SSL = "ssl/"


@dataclass(frozen=True)
class ShardHeader:
    """What a shard holds, without its data.

    Args:
        frames: latent frames.
        tokens: tokens of the prompt.
        other_texts: the names of its other texts, sorted.
        ssl_frames: by model, frames of features.
        base: the identity of the base that made it.
        warnings: what of the track's text was lost when it was made.
    """

    frames: int
    tokens: int
    other_texts: tuple[str, ...]
    ssl_frames: Mapping[str, int]
    base: str
    warnings: tuple[str, ...]


def write_shard(
    path: Path,
    features: Features,
    warnings: Sequence[str] = (),
    other_states: Mapping[str, torch.Tensor] | None = None,
    *,
    precision: str = "fp32",
    base: str = "",
) -> None:
    """Write one track's features; the file appears whole or not at all.

    Args:
        path: the shard.
        features: what it holds.
        warnings: what of the track's text was lost.
        other_states: the states of its other texts, (tokens, width) float32, by name.
        precision: of everything but the lyric ids on disk, "fp32", "fp16" or "bf16".
        base: the identity of the base that made them.

    Raises:
        StageError: a value is too large for fp16.
    """
    tensors = in_precision(
        {
            **(other_states or {}),
            "latents": features.latents,
            PROMPT: features.text_states,
            **{f"{_SSL}{name}": one for name, one in features.ssl.items()},
        },
        precision,
    )
    metadata = {_WARNINGS: json.dumps(list(warnings), ensure_ascii=False)} if warnings else {}
    if base:
        metadata[_BASE] = base
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, {**tensors, "lyric_ids": features.lyric_ids}, metadata)


def in_precision(tensors: Mapping[str, torch.Tensor], precision: str) -> dict[str, torch.Tensor]:
    """Give a track's tensors as they lie on disk.

    Args:
        tensors: float32, by name.
        precision: "fp32", "fp16" or "bf16".

    Raises:
        StageError: a value is too large for fp16.
    """
    import torch

    inner = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    stored = {name: one.to(inner) for name, one in tensors.items()}
    for name, one in stored.items():
        if not bool(torch.isfinite(one).all()) and bool(torch.isfinite(tensors[name]).all()):
            raise StageError(
                f"its {name} are too large for {precision}",
                hint="set training.latents_precision to bf16",
            )
    return stored


def read_shard(path: Path, text: str = PROMPT) -> Features:
    """Read one track's features; of its texts only the one that is asked for.

    Args:
        path: the shard.
        text: the name of one of the track's other texts; its prompt when left out.

    Raises:
        StageError: the shard is missing or damaged, or does not hold that text.
    """
    with _opened(path) as shard:
        names = [name for name in shard.keys() if name.startswith(_SSL)]  # noqa: SIM118
        return Features(
            shard.get_tensor("latents").float(),
            shard.get_tensor(text).float(),
            shard.get_tensor("lyric_ids"),
            {name.removeprefix(_SSL): shard.get_tensor(name).float() for name in names},
        )


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Read one tensor of a shard, as float32.

    Raises:
        StageError: the shard is missing or damaged, or does not hold it.
    """
    with _opened(path) as shard:
        tensor: torch.Tensor = shard.get_tensor(name).float()
    return tensor


def read_header(path: Path) -> ShardHeader:
    """Read what a shard holds, without its data.

    Raises:
        StageError: the shard is missing, cut short or damaged.
    """
    with _opened(path) as shard:
        metadata = shard.metadata() or {}
        names = sorted(shard.keys())
        return ShardHeader(
            frames=shard.get_slice("latents").get_shape()[-1],
            tokens=shard.get_slice(PROMPT).get_shape()[0],
            other_texts=tuple(name for name in names if "/" in name and not name.startswith(_SSL)),
            ssl_frames={
                name.removeprefix(_SSL): shard.get_slice(name).get_shape()[0]
                for name in names
                if name.startswith(_SSL)
            },
            base=metadata.get(_BASE, ""),
            warnings=tuple(json.loads(metadata.get(_WARNINGS, "[]"))),
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError

    try:
        opened = open_weights(path)
    except StageError as error:
        raise StageError(f"the shard is damaged: {error.message}", hint=ENCODE_AGAIN) from error
    try:
        with opened as shard:
            yield shard
    except SafetensorError as error:
        raise StageError(f"the shard is damaged: {path}: {error}", hint=ENCODE_AGAIN) from error
