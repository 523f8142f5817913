"""The encoded training set: what `encode` writes, `train` and `select` read.

One safetensors shard a track and one index; features are computed once, so that training holds
only the transformer in memory. A shard's tensors are `latents`, `text_states`, `lyric_ids`, and the
states of the track's other texts under the texts' names.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.tensors import save_tensors

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base, Conditioning

INDEX_NAME = "index.json"
PROMPT = "text_states"
"""The name of the prompt's own states in a shard."""
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
    """

    latents: torch.Tensor
    text_states: torch.Tensor
    lyric_ids: torch.Tensor


def window_frames(base: Base, window_sec: float) -> int:
    """Give the latent frames of a window, at least one."""
    return max(1, int(window_sec * base.sample_rate / base.frame_samples))


def write_shard(
    path: Path,
    features: Features,
    warnings: Sequence[str] = (),
    other_states: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write one track's features; the file appears whole or not at all.

    Args:
        path: the shard.
        features: what it holds.
        warnings: what of the track's text was lost; `read_warnings` gives it back.
        other_states: the states of its other texts, (tokens, width) float32, by name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {_WARNINGS: json.dumps(list(warnings), ensure_ascii=False)} if warnings else None
    save_tensors(path, {**(other_states or {}), **vars(features)}, metadata)


def read_shard(path: Path, text: str = PROMPT) -> Features:
    """Read one track's features; of its texts only the one that is asked for.

    Args:
        path: the shard.
        text: the name of one of the track's other texts; its prompt when left out.

    Raises:
        StageError: the shard is damaged, or does not hold that text.
    """
    with _opened(path) as shard:
        names = ("latents", text, "lyric_ids")
        return Features(*(shard.get_tensor(name) for name in names))


def read_warnings(path: Path) -> tuple[str, ...]:
    """Read what of a track's text was lost when its shard was written.

    Raises:
        StageError: the shard is damaged.
    """
    with _opened(path) as shard:
        metadata = shard.metadata() or {}
    return tuple(json.loads(metadata.get(_WARNINGS, "[]")))


def other_texts_of(path: Path) -> tuple[str, ...]:
    """Name the other texts whose states a shard holds, sorted.

    Raises:
        StageError: the shard is damaged.
    """
    with _opened(path) as shard:
        return tuple(sorted(name for name in shard.keys() if "/" in name))  # noqa: SIM118


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as shard:
            yield shard
    except SafetensorError as error:
        raise StageError(f"{path}: the shard is damaged ({error})", hint="delete it") from error


def write_index(folder: Path, tracks: Sequence[EncodedTrack]) -> None:
    """Write the index of an encoded set."""
    text = json.dumps([asdict(track) for track in tracks], indent=1, ensure_ascii=False)
    (folder / INDEX_NAME).write_text(text + "\n", encoding="utf-8")


def read_index(folder: Path, split: str | None = None) -> tuple[EncodedTrack, ...]:
    """Read the index of an encoded set, whole or of one split."""
    rows = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    tracks = (EncodedTrack(**{key: _frozen(value) for key, value in row.items()}) for row in rows)
    return tuple(track for track in tracks if split in (None, track.split))


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
