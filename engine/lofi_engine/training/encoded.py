"""The encoded training set: what `encode` writes, `train` and `select` read.

One safetensors shard a track and one index; features are computed once, so that training holds
only the transformer in memory. A shard's tensors are `latents`, `text_states`, `lyric_ids`, the
states of the track's other texts under the texts' names, and features of audio models under "ssl/"
and the model's name. What is computed in float32 may lie there in half precision; it is read as
float32. Its header tells by itself what it holds and which base made it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_files import open_weights
from lofi_engine.tensors import save_tensors

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base, Conditioning

INDEX_NAME = "index.json"
PROMPT = "text_states"
"""The name of the prompt's own states in a shard."""
_FORMAT = 1
"""Raised by one whenever an index or a shard comes to mean something else."""
_BASE, _WARNINGS = "base", "warnings"
_SSL = "ssl/"
_AGAIN = "run again with --from encode"


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
        other_texts: the texts whose states its shard holds besides the prompt's; see
            `lofi_engine.training.texts`.
    """

    track: str
    shard: str
    frames: int
    tokens: int
    split: str
    style_ids: tuple[str, ...]
    other_texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Features:
    """The features of one track, without a batch axis.

    Args:
        latents: (8, 16, frames) float32.
        text_states: (tokens, width) float32.
        lyric_ids: (lyric_tokens,) int64.
        ssl: by model, what it hears in the whole track, (feature frames, width) float32, at the
            model's own frame rate; empty where no model was asked.
    """

    latents: torch.Tensor
    text_states: torch.Tensor
    lyric_ids: torch.Tensor
    ssl: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def window_ssl(self, start: int, frames: int) -> dict[str, torch.Tensor]:
        """Cut what belongs to `frames` latent frames from `start` out of each model's features."""
        whole = self.latents.shape[-1]
        return {
            name: one[_place(start, len(one), whole) : _place(start + frames, len(one), whole)]
            for name, one in self.ssl.items()
        }


def _place(frame: int, features: int, frames: int) -> int:
    return round(frame * features / frames)


def window_frames(base: Base, window_sec: float) -> int:
    """Give the latent frames of a window, at least one."""
    return max(1, int(window_sec * base.sample_rate / base.frame_samples))


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


def check_shards(folder: Path, tracks: Sequence[EncodedTrack]) -> None:
    """See that the shards of an encoded set are whole and hold what its index says; light.

    Args:
        folder: the set.
        tracks: the rows of its index whose shards are read.

    Raises:
        StageError: a shard is missing, cut short, damaged, or not the one of the index.
    """
    for track in tracks:
        path = folder / track.shard
        header = read_header(path)
        lacking = sorted({*track.other_texts} - {*header.other_texts})
        found = {
            "latent frames": (header.frames, track.frames),
            "text tokens": (header.tokens, track.tokens),
            "of its texts": (len(track.other_texts) - len(lacking), len(track.other_texts)),
        }
        for what, (held, indexed) in found.items():
            if held != indexed:
                raise StageError(
                    f"{path}: the shard holds {held} {what}, {INDEX_NAME} says {indexed}",
                    hint=_AGAIN,
                )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError

    try:
        opened = open_weights(path)
    except StageError as error:
        raise StageError(f"the shard is damaged: {error.message}", hint=_AGAIN) from error
    try:
        with opened as shard:
            yield shard
    except SafetensorError as error:
        raise StageError(f"the shard is damaged: {path}: {error}", hint=_AGAIN) from error


def write_index(folder: Path, tracks: Sequence[EncodedTrack], base: str = "") -> None:
    """Write the index of an encoded set.

    Args:
        folder: the set.
        tracks: its tracks.
        base: the identity of the base that encoded them.
    """
    rows = [asdict(track) for track in tracks]
    written = {"format": _FORMAT, "base": base, "tracks": rows}
    text = json.dumps(written, indent=1, ensure_ascii=False)
    (folder / INDEX_NAME).write_text(text + "\n", encoding="utf-8")


def read_index(folder: Path, split: str | None = None) -> tuple[EncodedTrack, ...]:
    """Read the index of an encoded set, whole or of one split.

    Raises:
        StageError: it is missing or damaged, or of another version of lofi-recipe.
    """
    rows = _read_index(folder)["tracks"]
    try:
        tracks = [
            EncodedTrack(**{key: _frozen(value) for key, value in row.items()}) for row in rows
        ]
    except (AttributeError, TypeError) as error:
        raise StageError(
            f"{folder / INDEX_NAME}: a row is no track: {error}", hint=_AGAIN
        ) from error
    return tuple(track for track in tracks if split in (None, track.split))


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX_NAME
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StageError(f"{path}: there is no such file", hint=_AGAIN) from error
    except ValueError as error:
        raise StageError(f"{path}: the index is damaged ({error})", hint=_AGAIN) from error
    if not isinstance(read, dict) or read.get("format") != _FORMAT:
        raise StageError(f"{path}: not an index that this version writes", hint=_AGAIN)
    return read


def check_encoded_by(folder: Path, base: str) -> None:
    """See that an encoded set is of the base that is about to read it.

    Args:
        folder: the set.
        base: the identity of the base.

    Raises:
        StageError: another base encoded it: its latents and text states mean something else.
    """
    made_by = _read_index(folder)["base"]
    if made_by and made_by != base:
        raise StageError(
            f"{folder}: the tracks were encoded by {made_by}, the base is {base}",
            hint=_AGAIN,
        )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


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
