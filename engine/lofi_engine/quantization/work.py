"""One variant being made, as the parts of `build` pass it along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.quantization.forms import FP16, Form
from lofi_engine.quantization.methods import NOMINAL_BITS
from lofi_engine.quantization.rules import component_bits
from lofi_engine.quantization.weights import Weight
from lofi_engine.recipe.model import Variant

if TYPE_CHECKING:
    from lofi_engine.calibration.calibration import Calibration

GATED = "transformer_decoder"
"""The component that must be what the variant's name says."""


@dataclass(frozen=True)
class Bundle:
    """An exported float32 bundle and what its graphs answer.

    Args:
        folder: where it lies.
        graphs: its whole graphs, in order; the halves of the decoder are cut anew from what
            each variant makes of it.
        others: its other files (tokenizer, vocabulary), copied as they are.
        examples: inputs by component and name.
        references: float32 outputs on those inputs, by component and name.
        calibration: answers by what the pipeline gives the graphs; None where no variant asks.
    """

    folder: Path
    graphs: tuple[str, ...]
    others: tuple[str, ...]
    examples: Mapping[str, Mapping[str, Any]]
    references: Mapping[str, Mapping[str, Any]]
    calibration: Calibration | None = None


@dataclass
class Work:
    """One variant being made; the dictionaries are by component.

    Args:
        name: the variant's name.
        variant: what the recipe asks.
        bundle: the float32 bundle.
        target: the folder to fill.
        weights: what each graph holds.
        forms: how each weight is stored, by weight.
        kept_float32: weights that stayed float32, by reason.
        moved: weights the budget gave another width.
        allocation: what the budget chose from, and what its choice promises; JSON values.
    """

    name: str
    variant: Variant
    bundle: Bundle
    target: Path
    weights: dict[str, tuple[Weight, ...]] = field(default_factory=dict)
    forms: dict[str, dict[str, Form]] = field(default_factory=dict)
    kept_float32: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    moved: dict[str, list[str]] = field(default_factory=dict)
    allocation: dict[str, Any] | None = None

    def quantizes(self, component: str) -> bool:
        """Say whether any matrix of a component goes below 16 bits."""
        return component_bits(component, self.variant) < FP16.bits

    def lifted(self, component: str) -> frozenset[str]:
        """Give the weights of a component that the budget stores wider than the name says."""
        nominal = NOMINAL_BITS[self.variant.weights]
        forms = self.forms[component]
        return frozenset(
            name for name in self.moved.get(component, ()) if forms[name].bits > nominal
        )

    def total_bytes(self) -> int:
        """Give the bytes written so far."""
        return sum(path.stat().st_size for path in self.target.iterdir())
