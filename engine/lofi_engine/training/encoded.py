"""The encoded training set: what `encode` writes, `train` and `select` read.

One shard a track (`lofi_engine.training.shards`) and one index; features are computed once, so
that training holds only the transformer in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.training.shards import ENCODE_AGAIN, read_header

INDEX_NAME = "index.json"
_FORMAT = 1
"""Raised by one whenever an index or a shard comes to mean something else."""


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

    @property
    def style(self) -> str:
        """The style that counts where a track counts once; "" where it has none."""
        return self.style_ids[0] if self.style_ids else ""


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
                    hint=ENCODE_AGAIN,
                )


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
            f"{folder / INDEX_NAME}: a row is no track: {error}", hint=ENCODE_AGAIN
        ) from error
    return tuple(track for track in tracks if split in (None, track.split))


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX_NAME
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StageError(f"{path}: there is no such file", hint=ENCODE_AGAIN) from error
    except ValueError as error:
        raise StageError(f"{path}: the index is damaged ({error})", hint=ENCODE_AGAIN) from error
    if not isinstance(read, dict) or read.get("format") != _FORMAT:
        raise StageError(f"{path}: not an index that this version writes", hint=ENCODE_AGAIN)
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
            hint=ENCODE_AGAIN,
        )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
