"""What is said of a variant that misses a bound: the figures, how sure they are, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lofi_engine.measuring.records import is_beyond_chance, relative_interval
from lofi_engine.metrics.figures import HIGHER, Difference, Figure
from lofi_engine.recipe.model import ClapGate, FadGate

_SMALLER = "give it more bytes or bits, or raise the bound"


@dataclass(frozen=True)
class Bounds:
    """How much worse than float32's a figure may be.

    Args:
        key: of the recipe, such as "measure.fad.max_increase".
        by_variant: the largest relative change for the worse.
    """

    key: str
    by_variant: Mapping[str, float]


def distance_failure(variant: str, quality: Mapping[str, Any], bounds: Mapping[str, float]) -> str:
    """Say that the latent distance is over its bound; "" where it is not, or has none."""
    distance, bound = quality["latent_distance"]["mean"], bounds.get(variant)
    if bound is None or distance <= bound:  # false when it is not a number
        return ""
    return (
        f"measure: variant {variant}: its latent distance from float32 is {distance:.4g}, "
        f"measure.max_distance.{variant} allows {bound:g} - {_SMALLER}"
    )


def bounds_of(fad: FadGate | None, clap: ClapGate | None) -> dict[str, Bounds]:
    """Give the bounds on what is heard, by metric."""
    found: dict[str, Bounds] = {}
    if fad is not None:
        found["fad"] = Bounds("measure.fad.max_increase", fad.max_increase)
    if clap is not None:
        found["clap"] = Bounds("measure.clap.max_drop", clap.max_drop)
    return found


def change_failure(variant: str, difference: Difference, bounds: Mapping[str, Bounds]) -> str:
    """Say that a figure is worse than float32's by more than its bound, if it has one; else "".

    The change itself is held to the bound, not the ends of its interval: a bound is what one is
    willing to lose, and a wide interval asks for more seeds, not for mercy.

    Args:
        variant: its name.
        difference: of the variant's figure from float32's.
        bounds: by metric.
    """
    gate = bounds.get(difference.metric)
    if gate is None or variant not in gate.by_variant:
        return ""
    key, bound = gate.key, gate.by_variant[variant]
    first, second = difference.first, difference.second
    is_drop = second.better == HIGHER
    worse = -difference.value if is_drop else difference.value
    share = worse / second.value  # above zero, see `baseless_failure`
    if share <= bound:
        return ""
    return (
        f"measure: variant {variant}: its {first.metric} is {first.value:.4g}, float32's is "
        f"{second.value:.4g} ({_basis(difference)}): {_percent(share)} "
        f"{'less' if is_drop else 'more'}{_sureness(difference, is_drop=is_drop)}, "
        f"{key}.{variant} allows {_percent(bound)} - {_hint(difference)}"
    )


def baseless_failure(figure: Figure, bounds: Mapping[str, Bounds]) -> str:
    """Say that float32's own figure is not above zero, so that nothing is a share of it; else "".

    Args:
        figure: float32's.
        bounds: by metric.
    """
    gate = bounds.get(figure.metric)
    if gate is None or not gate.by_variant or figure.value > 0:
        return ""
    return (
        f"measure: float32: its {figure.metric} is {figure.value:.4g} ({figure.n} "
        f"{figure.counted}, {figure.embedding}), and of what is not above zero {gate.key} can be "
        "no share - train longer, or leave the gate out"
    )


def _basis(difference: Difference) -> str:
    first = difference.first
    parts = [f"{first.n} {first.counted}"]
    if first.counted != "clips":
        parts.append(f"{difference.n} clips")
    if first.embedding:
        parts.append(first.embedding)
    if first.reference_hash:
        parts.append(f"against {first.against} {first.reference_hash}")
    return ", ".join(parts)


def _sureness(difference: Difference, *, is_drop: bool) -> str:
    ends = relative_interval(difference)
    if ends is None:
        return ""
    low, high = (-ends[1], -ends[0]) if is_drop else ends
    chance = "beyond chance" if is_beyond_chance(difference) else "which chance may explain"
    return (
        f" ({_percent(difference.interval.confidence)} interval {_percent(low)} to "
        f"{_percent(high)}, {chance})"
    )


def _hint(difference: Difference) -> str:
    return _SMALLER if is_beyond_chance(difference) else f"measure more seeds; {_SMALLER}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
