"""A network's weights on disk as the Hub keeps them: one safetensors file, or shards and an index.

Only headers are read here. A pickle is refused by name: loading one can run any code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.models.weight_names import Shape, summarize_names

SUFFIX = ".safetensors"
INDEX = ".index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
AGAIN = "fetch it again, or make it again"
_CONVERT = f"convert it to {SUFFIX} where you trust it: a pickle can run any code when it is loaded"
_POINTER = b"version https://git-lfs"
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04\x95", b"\x80\x05\x95")
"""What `torch.save` writes now and wrote before, and pickles by themselves."""
_REASONS = {
    "incomplete metadata": "it is cut short, or longer than its header says",
    "invalid header length": "it is cut short within its header",
    "header too small": "it is cut short within its header",
}


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies.

    Args:
        file: the file that holds it.
        shape: its shape.
        dtype: its type as safetensors writes it, e.g. "BF16".
    """

    file: Path
    shape: Shape
    dtype: str


def weight_files(place: Path, name: str) -> tuple[Path, ...]:
    """List the files of one network: a single file, or the index and then its shards.

    Args:
        place: a safetensors file, an index, or a folder with either.
        name: what the single file is called in a folder, e.g. "model.safetensors"; the index is
            that with ".index.json" after it. Where a folder has both, the single file counts.

    Returns:
        The files, whether they are there or not.

    Raises:
        StageError: there are only pickles, or the index is damaged.
    """
    single = place / name if place.is_dir() else place
    if single.suffix in PICKLES:
        raise StageError(f"{single}: a pickle, not {SUFFIX}", hint=_CONVERT)
    index = single if single.name.endswith(INDEX) else single.with_name(f"{single.name}{INDEX}")
    if not single.is_file() or single == index:
        if index.is_file():
            return (index, *sorted({index.parent / shard for shard in _read_index(index).values()}))
        _refuse_pickles(single)
    return (single,)


def read_headers(files: tuple[Path, ...]) -> dict[str, StoredTensor]:
    """Read which tensors lie where, without their data.

    Args:
        files: as `weight_files` gives them.

    Raises:
        StageError: a file is missing or damaged, or index and shards disagree; names the file.
    """
    index = files[0] if files[0].name.endswith(INDEX) else None
    stored: dict[str, StoredTensor] = {}
    for file in files[1:] if index else files:
        if index and not file.is_file():
            raise StageError(f"{index}: names {file.name}, which is not there", hint=AGAIN)
        for name, tensor in _read_header(file).items():
            if name in stored:
                raise StageError(f"{file}: holds {name}, and so does {stored[name].file.name}")
            stored[name] = tensor
    if index:
        _refuse_other_index(index, stored)
    return stored


def open_weights(file: Path) -> Any:
    """Open a safetensors file; its data is mapped, not read.

    Raises:
        StageError: it is missing or damaged, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, "pt")
    except (SafetensorError, OSError) as error:
        raise StageError(f"{file}: {_reason(file, str(error))}", hint=AGAIN) from error


def _read_header(file: Path) -> dict[str, StoredTensor]:
    with open_weights(file) as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        return {
            name: StoredTensor(file, tuple(part.get_shape()), str(part.get_dtype()))
            for name, part in slices.items()
        }


def _reason(file: Path, said: str) -> str:
    """Say what is wrong with a file in words that help."""
    if not file.is_file():
        return "there is no such file"
    with file.open("rb") as opened:
        start = opened.read(len(_POINTER))
    if start == _POINTER:
        return "a Git LFS pointer, not the weights it stands for"
    if start.startswith(_PICKLE_STARTS) and any(start[2:8]):
        return f"a pickle under the name of a {SUFFIX} file, which is refused: it can run any code"
    found = (reason for part, reason in _REASONS.items() if part in said)
    return next(found, f"its header is damaged ({said.partition('header: ')[2]})")


def _read_index(index: Path) -> Mapping[str, str]:
    """Read which shard an index names for each tensor."""
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"{index}: not an index with a weight_map", hint=AGAIN) from error
    if not isinstance(shards, dict) or not shards:
        raise StageError(f"{index}: its weight_map names no tensors", hint=AGAIN)
    for shard in shards.values():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise StageError(f"{index}: '{shard}' is not a file in the same folder", hint=AGAIN)
        if not shard.endswith(SUFFIX):
            raise StageError(f"{index}: names {shard}, which is not {SUFFIX}", hint=_CONVERT)
    return shards


def _refuse_other_index(index: Path, stored: Mapping[str, StoredTensor]) -> None:
    """Refuse shards that hold other tensors than the index says."""
    named = _read_index(index)
    absent: dict[str, list[str]] = defaultdict(list)
    for name, shard in named.items():
        if name not in stored or stored[name].file.name != shard:
            absent[shard].append(name)
    if absent:
        said = "; ".join(
            f"{shard} does not hold {summarize_names(names)}"
            for shard, names in sorted(absent.items())
        )
        raise StageError(f"{index}: {said}", hint="fetch the index and its shards again")
    unnamed = stored.keys() - named.keys()
    if unnamed:
        raise StageError(
            f"{index}: does not name {summarize_names(unnamed)}, which its shards hold",
            hint="fetch the index and its shards again",
        )


def _refuse_pickles(single: Path) -> None:
    """Refuse a folder that has a network's weights as a pickle alone."""
    if single.exists() or not single.parent.is_dir():
        return
    found = sorted(file.name for file in single.parent.iterdir() if file.suffix in PICKLES)
    if found:
        raise StageError(
            f"{single.parent}: has {', '.join(found)} but no {single.name}; "
            f"pickles are not loaded, only {SUFFIX}",
            hint=_CONVERT,
        )
