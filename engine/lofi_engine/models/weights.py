"""Weights from disk into a network, tensor by tensor, in the precision that is wanted.

Memory stays at the weights in that precision and little more: the network is built without memory
for its weights, a file's mapped pages count as resident until it is unmapped, and so each file is
mapped anew after every `WINDOW_BYTES` read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.weight_files import (
    AGAIN,
    StoredTensor,
    open_weights,
    read_headers,
    weight_files,
)
from lofi_engine.models.weight_names import describe_misfit, summarize_names

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
WINDOW_BYTES = 16 * 2**20
"""The most of a file that is mapped and read at a time."""
_FLOATS = ("F32", "F16", "BF16")
_FILE_TYPES = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}

_Network = TypeVar("_Network", bound=nn.Module)


def dtype_of(precision: str) -> torch.dtype:
    """Give the type a precision means.

    Raises:
        StageError: it is not "fp32", "fp16" or "bf16".
    """
    if precision not in PRECISIONS:
        raise StageError(
            f"precision '{precision}' is unknown", hint=f"use one of {', '.join(PRECISIONS)}"
        )
    return PRECISIONS[precision]


@dataclass(frozen=True)
class CheckedNetwork(Generic[_Network]):
    """A network without weights, and files that were found to hold exactly its tensors.

    Args:
        network: it has shapes alone so far.
        stored: where each tensor lies.
        wanted: every tensor on the meta device, in the type it is to be read in.
        tied: names that share one tensor.
    """

    network: _Network
    stored: Mapping[str, StoredTensor]
    wanted: Mapping[str, Tensor]
    tied: tuple[str, ...]

    def load(self) -> _Network:
        """Stream the weights in and give the network, in eval mode.

        Raises:
            StageError: a weight is not finite, or too large for its type.
        """
        tensors = read_tensors(self.stored, self.wanted)
        shared = next((tensors[key] for key in self.tied if key in tensors), None)
        if shared is not None:
            tensors |= dict.fromkeys(self.tied, shared)
        self.network.load_state_dict(tensors, assign=True)
        return self.network.eval()


def check_network(
    build: Callable[[], _Network],
    place: Path,
    name: str,
    *,
    precision: str = "fp32",
    tied: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
) -> CheckedNetwork[_Network]:
    """Build a network without memory for its weights and compare it with the files' headers.

    Args:
        build: builds it; called where new tensors take no memory.
        place: a safetensors file, an index of shards, or a folder with either.
        name: what the single file is called in a folder; see `weight_files`.
        precision: of the parameters. Buffers keep the type they are built with: tables for
            arithmetic, not weights.
        tied: names of one and the same tensor; the files may hold any of them.
        ignored: starts of names that the files may hold and nobody reads.

    Raises:
        StageError: a file is missing or damaged; or names, shapes or types are not the network's:
            all of them are listed.
    """
    dtype = dtype_of(precision)
    files = weight_files(place, name)
    stored = {
        key: tensor
        for key, tensor in read_headers(files).items()
        if not any(key.startswith(start) for start in ignored)
    }
    with torch.device("meta"):
        network = build()
    parameters = {key for key, _ in network.named_parameters(remove_duplicate=False)}
    wanted = {
        key: torch.empty_like(tensor, dtype=dtype, device="meta")
        if key in parameters and tensor.is_floating_point()
        else tensor
        for key, tensor in network.state_dict().items()
    }
    _keep_one(tied, stored, wanted)
    _refuse_misfits(files[0], stored, wanted)
    return CheckedNetwork(network, stored, wanted, tied)


def read_weights(place: Path, name: str, *, precision: str = "fp32") -> dict[str, Tensor]:
    """Read every tensor of a file or of shards; arguments as for `check_network`.

    Raises:
        StageError: a file is missing or damaged, holds other than weights, or one is not finite.
    """
    files = weight_files(place, name)
    stored = read_headers(files)
    wanted = {
        key: torch.empty(tensor.shape, dtype=dtype_of(precision), device="meta")
        for key, tensor in stored.items()
    }
    _refuse_types(files[0], stored, wanted)
    return read_tensors(stored, wanted)


def read_tensors(
    stored: Mapping[str, StoredTensor], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Read tensors in the types of `wanted`, the files one after another.

    Args:
        stored: where each lies; those that `wanted` does not name are not read.
        wanted: tensors on the meta device, by name: their types count.

    Raises:
        StageError: a weight is not finite, or does not fit the type.
    """
    by_file: dict[Path, list[str]] = defaultdict(list)
    for key in wanted:
        by_file[stored[key].file].append(key)
    tensors: dict[str, Tensor] = {}
    for file, keys in by_file.items():
        window = _Window(file)
        for key in keys:
            tensors[key] = _read_one(window, key, stored[key], wanted[key].dtype)
    return tensors


def _keep_one(
    tied: tuple[str, ...], stored: dict[str, StoredTensor], wanted: dict[str, Tensor]
) -> None:
    """Keep one name of a tied tensor: the first that is stored."""
    for key in sorted(tied, key=lambda key: key not in stored)[1:]:
        stored.pop(key, None)
        wanted.pop(key, None)


def _refuse_misfits(
    source: Path, stored: Mapping[str, StoredTensor], wanted: Mapping[str, Tensor]
) -> None:
    """Refuse names, shapes or types that are not the network's; all are listed."""
    misfit = describe_misfit(
        {key: tuple(tensor.shape) for key, tensor in wanted.items()},
        {key: tensor.shape for key, tensor in stored.items()},
    )
    if misfit:
        raise StageError(
            f"{source}: its tensors are not this network's: {misfit}",
            hint="are these the weights that belong to config.json?",
        )
    _refuse_types(source, stored, wanted)


def _refuse_types(
    source: Path, stored: Mapping[str, StoredTensor], wanted: Mapping[str, Tensor]
) -> None:
    other: dict[str, list[str]] = defaultdict(list)
    for key, tensor in wanted.items():
        allowed = _FLOATS if tensor.is_floating_point() else (_FILE_TYPES.get(tensor.dtype),)
        if stored[key].dtype not in allowed:
            other[stored[key].dtype].append(key)
    if other:
        said = "; ".join(f"{summarize_names(keys)} is {dtype}" for dtype, keys in other.items())
        raise StageError(f"{source}: {said}", hint=f"weights are read as {', '.join(_FLOATS)}")


class _Window:
    """A file of tensors of which few pages are ever mapped at a time."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened: Any = None
        self._used = 0

    def rows(self, key: str, shape: tuple[int, ...], row_bytes: int) -> Iterator[tuple[int, Any]]:
        """Give a tensor in pieces along its first axis, each with the row it starts at.

        A piece is to be let go before the next is asked for: it keeps the file mapped.
        """
        if not shape or 0 in shape:
            self._make_room(row_bytes)
            yield 0, self._opened.get_tensor(key)
            return
        step = max(1, WINDOW_BYTES // max(row_bytes, 1))
        for start in range(0, shape[0], step):
            stop = min(start + step, shape[0])
            self._make_room((stop - start) * row_bytes)
            yield start, self._opened.get_slice(key)[start:stop]

    def _make_room(self, size: int) -> None:
        """Map the file anew where `size` bytes more would be too many."""
        if self._opened is None or self._used + size > WINDOW_BYTES:
            self._opened, self._used = None, 0
            self._opened = open_weights(self.file)
        self._used += size


def _read_one(window: _Window, key: str, stored: StoredTensor, dtype: torch.dtype) -> Tensor:
    """Read one tensor and check that every value of it is finite."""
    read = torch.empty(stored.shape, dtype=dtype)
    rows = read if read.ndim else read[None]
    row_bytes = _item_bytes(stored) * (rows[0].numel() if rows.numel() else 0)
    for start, piece in window.rows(key, stored.shape, row_bytes):
        target = rows[start : start + (piece.shape[0] if piece.ndim else 1)]
        target.copy_(piece)
        del piece
        if dtype.is_floating_point and not _is_finite(target):
            _refuse_not_finite(window, key, stored, row_bytes, dtype)
    return read


def _item_bytes(stored: StoredTensor) -> int:
    return 8 if stored.dtype.endswith("64") else 4 if stored.dtype.endswith("32") else 2


def _is_finite(values: Tensor) -> bool:
    """Say whether all values are finite, without a table of answers as large as the values."""
    if values.numel() == 0:
        return True
    low, high = torch.aminmax(values)
    return bool(torch.isfinite(low) & torch.isfinite(high))


def _refuse_not_finite(
    window: _Window, key: str, stored: StoredTensor, row_bytes: int, dtype: torch.dtype
) -> None:
    """Count what is not finite in the whole tensor, and refuse it."""
    nan = infinite = large = 0
    for _, piece in window.rows(key, stored.shape, row_bytes):
        nan += int(piece.isnan().sum())
        infinite += int(piece.isinf().sum())
        large += int((~piece.to(dtype).isfinite()).sum())
        del piece
    total = 1
    for size in stored.shape:
        total *= size
    if nan or infinite:
        raise StageError(
            f"{window.file}: {key} holds {nan} NaN and {infinite} infinite values of {total}",
            hint=AGAIN,
        )
    wanted = next(name for name, kind in PRECISIONS.items() if kind == dtype)
    raise StageError(
        f"{window.file}: {large} values of {total} in {key} are too large for {wanted}",
        hint="load it as bf16 or fp32",
    )
