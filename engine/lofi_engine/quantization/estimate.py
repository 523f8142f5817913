"""What a variant will weigh, before anything is exported: the same rules over an outline.

Weights alone: the graphs' nodes and the tokenizer come on top, about one percent of a full-size
bundle at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from lofi_engine.models.outline import FLOAT32_BYTES, OutlinedWeight, Use
from lofi_engine.quantization import fp16
from lofi_engine.quantization.forms import FP16, Form, stored_bytes
from lofi_engine.quantization.methods import FLOOR_BITS
from lofi_engine.quantization.rules import component_bits, plan_forms, wanted_form
from lofi_engine.quantization.weights import Role, Weight
from lofi_engine.recipe.model import Variant

_ROLES: Mapping[Use, Role] = {"matrix": "matmul", "table": "table", "other": "other"}
_FLOAT32_BITS = 32

Key = tuple[str, str]
"""A component and a weight's name."""
Forms = dict[Key, Form]


@dataclass(frozen=True)
class Estimate:
    """What a variant's weights come to.

    Args:
        component_bytes: bytes by component, scales and zero points included.
        widths: how many numbers are stored in how many bits, by component.
    """

    component_bytes: Mapping[str, int]
    widths: Mapping[str, Mapping[int, int]]

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole variant."""
        return sum(self.component_bytes.values())


def estimate_variant(variant: Variant, graphs: Mapping[str, Sequence[OutlinedWeight]]) -> Estimate:
    """Work out what `variant` stores of the weights in `graphs`, by component.

    Where its budget moves weights between 8 and 4 bits, attention is taken to lose more than the
    rest and all else alike: real errors are known only once there are weights.
    """
    weights: dict[Key, Weight] = {}
    forms: Forms = {}
    for component, outlined in graphs.items():
        listed = [_weight(one) for one in outlined]
        weights.update({(component, weight.name): weight for weight in listed})
        planned = plan_forms(component, listed, variant)
        forms.update({(component, name): form for name, form in planned.items()})
    if variant.max_bytes is not None and variant.weights != "fp16":
        forms |= _moved(weights, forms, variant, variant.max_bytes)
    sizes: Counter[str] = Counter()
    widths: dict[str, Counter[int]] = {component: Counter() for component in graphs}
    for key, form in forms.items():
        weight, (component, _) = weights[key], key
        sizes[component] += _bytes(weight, form)
        bits = _FLOAT32_BITS if _stays_float32(weight, form) else form.bits
        widths[component][bits] += weight.elements
    by_width = {component: dict(sorted(found.items())) for component, found in widths.items()}
    return Estimate(dict(sizes), by_width)


def _weight(outlined: OutlinedWeight) -> Weight:
    """Give a weight as its graph holds it: a matrix (out, in, 1, ...) becomes (in, out)."""
    shape = outlined.shape
    if outlined.use == "matrix":
        shape = (prod(shape[1:]), shape[0])
    return Weight(outlined.name, _ROLES[outlined.use], outlined.elements, _FLOAT32_BITS, shape)


def _stays_float32(weight: Weight, form: Form) -> bool:
    small = len(weight.shape) < 2 or weight.elements < fp16.MIN_ELEMENTS
    return small and form.kind == "fp16"


def _bytes(weight: Weight, form: Form) -> int:
    if _stays_float32(weight, form):
        return weight.elements * FLOAT32_BYTES
    return stored_bytes(form, weight.shape)


def _moved(weights: Mapping[Key, Weight], forms: Forms, variant: Variant, max_bytes: int) -> Forms:
    """Give the weights that the budget stores in another width.

    As `fit.fit_budget` would if all attention lost alike and the rest less: the fewest are lowered,
    the most are lifted.
    """
    left = max_bytes - sum(_bytes(weights[key], form) for key, form in forms.items())
    lowering = variant.weights == "int8"
    if lowering and left >= 0:
        return {}
    others = _alternatives(weights, forms, variant, 4 if lowering else 8)
    growth = {
        key: _bytes(weights[key], other) - _bytes(weights[key], forms[key])
        for key, other in others.items()
    }
    moved: Forms = {}
    # Attention is lifted first and lowered last, as real errors mostly have it.
    order = sorted(growth, key=lambda key: (is_attention(key[1]) == lowering, growth[key], key))
    for key in order:
        if lowering and left >= 0:
            break
        if growth[key] < 0 if lowering else growth[key] <= left:
            moved[key] = others[key]
            left -= growth[key]
    return moved


def is_attention(name: str) -> bool:
    """Say whether a weight belongs to an attention, by its name in the checkpoint."""
    return "attn" in name or "Attention" in name


def _alternatives(
    weights: Mapping[Key, Weight], forms: Forms, variant: Variant, bits: int
) -> Forms:
    found: Forms = {}
    for key, now in forms.items():
        component, _ = key
        movable = component_bits(component, variant) < FP16.bits
        if movable and FLOOR_BITS.get(component, 0) <= bits and now.bits not in (bits, FP16.bits):
            other = wanted_form(weights[key], bits, variant)
            if other is not None:
                found[key] = other
    return found
