"""The encoded training set: what `encode` writes, `train` and `select` read.

One safetensors shard a track and one index; features are computed once, so that training holds
only the transformer in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.tensors import save_tensors

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base, Conditioning

INDEX_NAME = "index.json"
_WARNINGS = "warnings"


@dataclass(frozen=True)
class EncodedTrack:
    """One track of the index.

    Args:
        track: its name.
        shard: its file, relative to the encoded set.
        frames: latent frames.
        tokens: text tokens.
        split: "train" or "validation".
        style_ids: the styles it belongs to.
    """

    track: str
    shard: str
    frames: int
    tokens: int
    split: str
    style_ids: tuple[str, ...]


@dataclass(frozen=True)
class Features:
    """The features of one track, without a batch axis.

    Args:
        latents: (8, 16, frames) float32.
        text_states: (tokens, width) float32.
        lyric_ids: (lyric_tokens,) int64.
    """

    latents: torch.Tensor
    text_states: torch.Tensor
    lyric_ids: torch.Tensor


def window_frames(base: Base, window_sec: float) -> int:
    """Give the latent frames of a window, at least one."""
    return max(1, int(window_sec * base.sample_rate / base.frame_samples))


def write_shard(path: Path, features: Features, warnings: Sequence[str] = ()) -> None:
    """Write one track's features; the file appears whole or not at all.

    Args:
        path: the shard.
        features: what it holds.
        warnings: what of the track's text was lost; `read_warnings` gives it back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {_WARNINGS: json.dumps(list(warnings), ensure_ascii=False)} if warnings else None
    save_tensors(path, vars(features), metadata)


def read_shard(path: Path) -> Features:
    """Read one track's features.

    Raises:
        StageError: the shard is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        return Features(tensors["latents"], tensors["text_states"], tensors["lyric_ids"])
    except (SafetensorError, KeyError) as error:
        raise StageError(f"{path}: the shard is damaged ({error})", hint="delete it") from error


def read_warnings(path: Path) -> tuple[str, ...]:
    """Read what of a track's text was lost when its shard was written.

    Raises:
        StageError: the shard is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as shard:
            metadata = shard.metadata() or {}
    except SafetensorError as error:
        raise StageError(f"{path}: the shard is damaged ({error})", hint="delete it") from error
    return tuple(json.loads(metadata.get(_WARNINGS, "[]")))


def write_index(folder: Path, tracks: Sequence[EncodedTrack]) -> None:
    """Write the index of an encoded set."""
    text = json.dumps([asdict(track) for track in tracks], indent=1, ensure_ascii=False)
    (folder / INDEX_NAME).write_text(text + "\n", encoding="utf-8")


def read_index(folder: Path, split: str | None = None) -> tuple[EncodedTrack, ...]:
    """Read the index of an encoded set, whole or of one split."""
    rows = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    tracks = (EncodedTrack(**{**row, "style_ids": tuple(row["style_ids"])}) for row in rows)
    return tuple(track for track in tracks if split in (None, track.split))


def stack_conditioning(features: Sequence[Features], speaker_width: int) -> Conditioning:
    """Pad the conditions of several tracks into one batch; the speaker is unknown, so zeros."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from lofi_engine.models.family import Conditioning

    def mask(lengths: list[int]) -> torch.Tensor:
        return (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()

    return Conditioning(
        text_states=pad_sequence([one.text_states for one in features], batch_first=True),
        text_mask=mask([len(one.text_states) for one in features]),
        speaker=torch.zeros(len(features), speaker_width),
        lyric_ids=pad_sequence([one.lyric_ids for one in features], batch_first=True),
        lyric_mask=mask([len(one.lyric_ids) for one in features]),
    )
