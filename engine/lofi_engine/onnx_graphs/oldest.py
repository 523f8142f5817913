"""The oldest ONNX Runtime that loads a graph.

Found by loading one-operator graphs on 1.20.1, 1.21.1, 1.22.1, 1.23.2 and 1.32.0; nothing older
than 1.20 was tried, so nothing older is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

OLDEST_TRIED = "1.20"
"""Loads everything not listed below: opset 21, MatMulInteger, 4-bit MatMulNBits and 4-bit
GatherBlockQuantized (UINT4) among them."""

LOFI_NVIM_DAEMON = "1.20"
"""What lofi.nvim's own daemon links."""

NEEDS = {
    ("MatMulNBits", 8): "1.22",
    ("GatherBlockQuantized", 8): "1.23",
}
"""By operator and width in bits."""


def oldest_onnxruntime(model: ir.Model) -> str:
    """Give the oldest ONNX Runtime release known to load `model`."""
    return newest(NEEDS.get((node.op_type, _bits(node)), OLDEST_TRIED) for node in model.graph)


def loads_in_daemon(oldest: str) -> bool:
    """Say whether lofi.nvim's daemon loads what needs `oldest`."""
    return newest([oldest, LOFI_NVIM_DAEMON]) == LOFI_NVIM_DAEMON


def newest(releases: Iterable[str]) -> str:
    """Give the newest of `releases` ("1.9" is older than "1.20")."""
    return max(releases, key=_numbers, default=OLDEST_TRIED)


def _bits(node: ir.Node) -> int:
    if "bits" in node.attributes:
        return node.attributes["bits"].as_int()
    return 4


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))
