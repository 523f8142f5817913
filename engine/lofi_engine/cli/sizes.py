"""What the graphs of a recipe's base and its variants will weigh, as `plan` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, family_of
from lofi_engine.models.outline import FLOAT32_BYTES, Outline, count
from lofi_engine.quantization.estimate import Estimate, estimate_variant
from lofi_engine.quantization.rules import check_variant
from lofi_engine.recipe.model import Recipe, Variant

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Planned:
    """A variant as it would be made.

    Args:
        variant: what the recipe asks.
        estimate: what its weights come to.
        problem: why the quantize stage would refuse it; "" where it would not.
    """

    variant: Variant
    estimate: Estimate
    problem: str


@dataclass(frozen=True)
class Sizes:
    """Parameters and bytes, from the configuration alone."""

    outline: Outline
    variants: Mapping[str, Planned]


def sizes_of(recipe: Recipe) -> Sizes:
    """Work out the sizes of a recipe's graphs and variants.

    Raises:
        StageError: the configuration of the recipe's base is not known here.
    """
    reference = base_of(recipe)
    outline = family_of(reference).outline(
        reference.model, revision=reference.revision, home=recipe.home
    )
    variants = {
        name: Planned(
            variant,
            estimate_variant(variant, outline.graphs),
            _problem(name, variant, tuple(outline.graphs)),
        )
        for name, variant in recipe.variants.items()
    }
    return Sizes(outline, variants)


def _problem(name: str, variant: Variant, components: Sequence[str]) -> str:
    try:
        check_variant(name, variant, components)
    except StageError as error:
        return str(error).removeprefix(f"variant {name}: ")
    return ""


def lines_of(sizes: Sizes) -> Iterator[str]:
    """Give the tables line by line."""
    outline = sizes.outline
    yield f"The graphs' weights, by {outline.source}:"
    counts = {name: count(weights) for name, weights in outline.graphs.items()}
    counts["total"] = sum(counts.values())
    rows = [(name, f"{n:,}", f"{n * FLOAT32_BYTES:,}") for name, n in counts.items()]
    yield from _aligned([("graph", "parameters", "float32 bytes"), *rows])
    for reason, weights in outline.left_out.items():
        yield f"left out: {count(weights):,} parameters {reason}"
    yield ""
    yield "The variants' weights, estimated (nodes and tokenizer come on top):"
    yield from _aligned([("variant", "about", "max_bytes", "bits"), *_rows(sizes.variants)])
    for name, planned in sizes.variants.items():
        for problem in _problems(planned):
            yield f"{name}: {problem}"
    yield ""
    yield "By component:"
    yield from _by_component(sizes)
    for name, planned in sizes.variants.items():
        yield from _against_target(name, planned, outline.size_targets)


def json_of(sizes: Sizes) -> dict[str, Any]:
    """Give the same as JSON values."""
    outline = sizes.outline
    return {
        "configuration": outline.source,
        "graphs": {
            name: {"parameters": count(weights), "float32_bytes": count(weights) * FLOAT32_BYTES}
            for name, weights in outline.graphs.items()
        },
        "left_out": {reason: count(weights) for reason, weights in outline.left_out.items()},
        "variants": {
            name: {
                "estimated_bytes": planned.estimate.total_bytes,
                "max_bytes": planned.variant.max_bytes,
                "component_bytes": dict(planned.estimate.component_bytes),
                "widths": {
                    component: {str(bits): number for bits, number in found.items()}
                    for component, found in planned.estimate.widths.items()
                },
                "problem": planned.problem,
            }
            for name, planned in sizes.variants.items()
        },
    }


def _rows(variants: Mapping[str, Planned]) -> Iterator[tuple[str, ...]]:
    for name, planned in variants.items():
        limit = planned.variant.max_bytes
        groups: dict[str, list[str]] = {}
        for component, widths in planned.estimate.widths.items():
            groups.setdefault(_main_widths(widths), []).append(component)
        bits = "; ".join(f"{widths}: {', '.join(names)}" for widths, names in groups.items())
        about = readable(planned.estimate.total_bytes)
        yield name, about, readable(limit) if limit else "none", bits


def _by_component(sizes: Sizes) -> Iterator[str]:
    header = ("variant", *sizes.outline.graphs)
    rows = [
        (name, *(readable(planned.estimate.component_bytes[one]) for one in sizes.outline.graphs))
        for name, planned in sizes.variants.items()
    ]
    yield from _aligned([header, *rows], numbers=len(header) - 1)


def _against_target(name: str, planned: Planned, targets: Mapping[str, float]) -> Iterator[str]:
    """Say whether a variant is as small as was hoped for its width."""
    target = targets.get(planned.variant.weights)
    if target is None:
        return
    total = planned.estimate.total_bytes
    verdict = "holds" if total <= target else f"does not hold, by {readable(total - int(target))}"
    yield (
        f"{name}: the specification's target of {readable(int(target))} for "
        f"{planned.variant.weights} {verdict}"
    )


def _problems(planned: Planned) -> Iterator[str]:
    limit, total = planned.variant.max_bytes, planned.estimate.total_bytes
    if limit is not None and total > limit:
        yield f"about {readable(total - limit)} over its max_bytes"
    if planned.problem:
        yield planned.problem


def _main_widths(widths: Mapping[int, int]) -> str:
    """Give the widths of at least a hundredth of the numbers, with their shares if several."""
    total = sum(widths.values())
    shares = {bits: number / total for bits, number in widths.items() if number >= total / 100}
    if len(shares) == 1:
        return str(*shares)
    return " + ".join(f"{bits} ({share:.0%})" for bits, share in shares.items())


def _aligned(rows: Sequence[tuple[str, ...]], numbers: int = 2) -> Iterator[str]:
    """Align columns: names to the left, so many columns of numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][1 : numbers + 1]
    named = max(len(name) for name, *_ in rows)
    for name, *texts in rows:
        cells = [text.rjust(width) for text, width in zip(texts[:numbers], widths, strict=True)]
        yield "  ".join([name.ljust(named), *cells, *texts[numbers:]])


def readable(size_bytes: int) -> str:
    """Write bytes as people do, e.g. "3.26 GB"."""
    for unit, name in _UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.2f} {name}"
    return f"{size_bytes} B"
