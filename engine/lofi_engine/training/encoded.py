"""The encoded training set: what `encode` writes, `train` and `select` read.

One safetensors shard a track and one index; features are computed once, so that training holds
only the transformer in memory. A shard's tensors are `latents`, `text_states`, `lyric_ids`, the
states of the track's other texts under the texts' names, and features of audio models under "ssl/"
and the model's name. What is computed in float32 may lie there in half precision; it is read as
float32.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
_SSL = "ssl/"


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


def write_shard(
    path: Path,
    features: Features,
    warnings: Sequence[str] = (),
    other_states: Mapping[str, torch.Tensor] | None = None,
    *,
    precision: str = "fp32",
) -> None:
    """Write one track's features; the file appears whole or not at all.

    Args:
        path: the shard.
        features: what it holds.
        warnings: what of the track's text was lost; `read_warnings` gives it back.
        other_states: the states of its other texts, (tokens, width) float32, by name.
        precision: of everything but the lyric ids on disk, "fp32", "fp16" or "bf16".

    Raises:
        StageError: a value is too large for fp16.
    """
    import torch

    inner = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    given = {
        **(other_states or {}),
        "latents": features.latents,
        PROMPT: features.text_states,
        **{f"{_SSL}{name}": one for name, one in features.ssl.items()},
    }
    tensors = {name: one.to(inner) for name, one in given.items()}
    for name, one in tensors.items():
        if not bool(torch.isfinite(one).all()) and bool(torch.isfinite(given[name]).all()):
            raise StageError(
                f"{path.stem}: its {name} are too large for {precision}",
                hint="set training.latents_precision to bf16",
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {_WARNINGS: json.dumps(list(warnings), ensure_ascii=False)} if warnings else None
    save_tensors(path, {**tensors, "lyric_ids": features.lyric_ids}, metadata)


def read_shard(path: Path, text: str = PROMPT) -> Features:
    """Read one track's features; of its texts only the one that is asked for.

    Args:
        path: the shard.
        text: the name of one of the track's other texts; its prompt when left out.

    Raises:
        StageError: the shard is damaged, or does not hold that text.
    """
    with _opened(path) as shard:
        names = [name for name in shard.keys() if name.startswith(_SSL)]  # noqa: SIM118
        return Features(
            shard.get_tensor("latents").float(),
            shard.get_tensor(text).float(),
            shard.get_tensor("lyric_ids"),
            {name.removeprefix(_SSL): shard.get_tensor(name).float() for name in names},
        )


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
        named = [name for name in shard.keys() if "/" in name]  # noqa: SIM118
    return tuple(sorted(name for name in named if not name.startswith(_SSL)))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as shard:
            yield shard
    except SafetensorError as error:
        raise StageError(f"{path}: the shard is damaged ({error})", hint="delete it") from error


def write_index(folder: Path, tracks: Sequence[EncodedTrack], base: str = "") -> None:
    """Write the index of an encoded set.

    Args:
        folder: the set.
        tracks: its tracks.
        base: the identity of the base that encoded them.
    """
    written = {"base": base, "tracks": [asdict(track) for track in tracks]}
    text = json.dumps(written, indent=1, ensure_ascii=False)
    (folder / INDEX_NAME).write_text(text + "\n", encoding="utf-8")


def read_index(folder: Path, split: str | None = None) -> tuple[EncodedTrack, ...]:
    """Read the index of an encoded set, whole or of one split."""
    rows = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))["tracks"]
    tracks = (EncodedTrack(**{key: _frozen(value) for key, value in row.items()}) for row in rows)
    return tuple(track for track in tracks if split in (None, track.split))


def check_encoded_by(folder: Path, base: str) -> None:
    """See that an encoded set is of the base that is about to read it.

    Args:
        folder: the set.
        base: the identity of the base.

    Raises:
        StageError: another base encoded it: its latents and text states mean something else.
    """
    made_by = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))["base"]
    if made_by and made_by != base:
        raise StageError(
            f"{folder}: the tracks were encoded by {made_by}, the base is {base}",
            hint="run again with --from encode",
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
