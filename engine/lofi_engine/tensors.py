"""Safetensors files whose bytes depend on their content alone.

The library writes the metadata in an order that differs from process to process; two equal
adapters would then differ in hash. The header is put in order after writing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"


def save_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write `tensors` to `path` with the same bytes for the same content; whole or not at all."""
    from safetensors.torch import save_file

    aside = path.with_name(f".{path.name}")
    contiguous = {name: tensors[name].detach().contiguous() for name in sorted(tensors)}
    # The library makes files only their owner may read; what is published is for everyone.
    aside.unlink(missing_ok=True)
    aside.touch()
    mode = aside.stat().st_mode
    save_file(contiguous, aside, metadata={"format": "pt", **(metadata or {})})
    _sort_metadata(aside)
    aside.chmod(mode)
    aside.replace(path)


def _sort_metadata(path: Path) -> None:
    with path.open("r+b") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(length))
        header[_METADATA] = dict(sorted(header.get(_METADATA, {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ValueError(f"{path}: the sorted header is longer than the one written")
        file.seek(_LENGTH.size)
        file.write(text.ljust(length))
