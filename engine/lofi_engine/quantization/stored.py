"""Which operators hold a graph's bytes, and in how many bits: read from the graph itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lofi_engine.quantization.weights import SCALE, find_weights, users

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass
class Stored:
    """What the nodes of one operator read from the file.

    Args:
        size_bytes: weights with their scales and zero points.
        widths: numbers by how many bits each is stored in; scales and zero points do not count.
    """

    size_bytes: int = 0
    widths: Counter[int] = field(default_factory=Counter)


def stored_by_operator(graph: ir.Graph) -> dict[str, Stored]:
    """Count the initializers of `graph` by the operator that reads them, largest first."""
    weights = {weight.name: weight for weight in find_weights(graph)}
    readers = {name: _reader(value) for name, value in graph.initializers.items()}
    scaled = {_plain(name): operator for name, operator in readers.items() if name in weights}
    found: dict[str, Stored] = {}
    for name, value in graph.initializers.items():
        if value.const_value is None:
            continue
        operator = readers[name]
        if name.endswith(SCALE):  # an integer product's is read by the multiplication after it
            operator = scaled.get(name.removesuffix(SCALE), operator)
        stored = found.setdefault(operator, Stored())
        stored.size_bytes += value.const_value.nbytes
        if name in weights:
            stored.widths[weights[name].bits] += weights[name].elements
    return dict(sorted(found.items(), key=lambda item: (-item[1].size_bytes, item[0])))


def widths_line(widths: Mapping[int, int]) -> str:
    """Say for people which share of numbers is stored in how many bits, the most first.

    Shares under half a percent are left out.
    """
    total = sum(widths.values())
    shares = sorted(
        ((count / total, bits) for bits, count in widths.items() if count), reverse=True
    )
    return ", ".join(f"{share:.0%} in {bits} bits" for share, bits in shares if share >= 0.005)


def _reader(value: ir.Value) -> str:
    nodes = users(value)
    return nodes[0][0].op_type if nodes else "none"


def _plain(name: str) -> str:
    """Take off what the passes add to a weight's name."""
    stem, _, form = name.rpartition(".")
    return stem if form in ("int4", "int8", "fp16") else name
