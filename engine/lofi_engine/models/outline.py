"""What a base's graphs hold, from its configuration alone: no weight is read, nothing is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FLOAT32_BYTES = 4

Use = Literal["matrix", "table", "other"]
"""What a weight does in its graph: a matrix that activations are multiplied by, rows looked up by
number, or anything else (convolutions, norms, biases)."""


@dataclass(frozen=True)
class OutlinedWeight:
    """One weight.

    Args:
        name: the checkpoint's own, weight norm worked out.
        shape: the checkpoint's own.
        use: what it does.
    """

    name: str
    shape: tuple[int, ...]
    use: Use = "other"

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Outline:
    """A base's weights, by where they end up.

    Args:
        source: which configuration this is, for people.
        graphs: what each graph of a bundle runs, by component ("transformer_decoder").
        left_out: what no graph holds, by the reason.
        size_targets: bytes that were hoped for of the nominal widths ("int8"), where somebody did.
    """

    source: str
    graphs: Mapping[str, tuple[OutlinedWeight, ...]]
    left_out: Mapping[str, tuple[OutlinedWeight, ...]]
    size_targets: Mapping[str, float] = field(default_factory=dict)


def count(weights: tuple[OutlinedWeight, ...]) -> int:
    """Give how many numbers these weights hold."""
    return sum(weight.elements for weight in weights)
