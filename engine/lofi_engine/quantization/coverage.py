"""How many of a graph's weights are really stored in how many bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.quantization.weights import ELIGIBLE, Role, Weight, find_weights

MIN_COVERAGE = 0.95
"""The least share of the decoder's matrices a variant must store as its name says, or wider on
purpose."""

MOST_LIFTED = 0.5
"""The largest share of them that its budget may lift before the name says too little."""

MIN_LAYER_COVERAGE = 0.5
"""The least share of any one layer's: a layer of 24 that a pass skipped whole is under 5 %."""

_WIDER = (".int8", ".fp16")
"""How the names end that the passes give to what was lifted."""


_MATRICES: frozenset[Role] = frozenset({"matmul", "linear"})


@dataclass(frozen=True)
class Coverage:
    """The widths of a graph's weights.

    Args:
        widths: weight elements by width in bits; scales and zero points do not count.
        eligible: elements of matrices and tables, the weights a variant's name speaks of.
        covered: those of them stored in the nominal width or less, or wider on purpose.
        matmul_eligible: elements of matrices alone.
        matmul_covered: those of them stored in the nominal width or less, or wider on purpose.
        lifted: elements stored wider on purpose, by the budget.
    """

    widths: Mapping[int, int]
    eligible: int
    covered: int
    matmul_eligible: int
    matmul_covered: int
    lifted: int = 0

    @property
    def share(self) -> float:
        """Covered over eligible; 1 where nothing is eligible."""
        return self.covered / self.eligible if self.eligible else 1.0

    @property
    def matmul_share(self) -> float:
        """The same for matrices alone."""
        return self.matmul_covered / self.matmul_eligible if self.matmul_eligible else 1.0


def measure_coverage(
    path: Path, nominal_bits: int, lifted: Collection[str] = frozenset()
) -> Coverage:
    """Read the graph at `path` and count its weights by width.

    Args:
        path: the graph.
        nominal_bits: the width its name speaks of.
        lifted: the weights that are wider on purpose, by their names in the float32 graph.
    """
    import onnx_ir as ir

    return count_widths(find_weights(ir.load(path).graph), nominal_bits, lifted)


def count_widths(
    weights: Iterable[Weight], nominal_bits: int, lifted: Collection[str] = frozenset()
) -> Coverage:
    """Count `weights` by width, against a nominal width in bits; see `measure_coverage`."""
    listed = list(weights)
    stored = {name + end for name in lifted for end in _WIDER}
    on_purpose = frozenset(one.name for one in listed if one.name in stored)
    widths: Counter[int] = Counter()
    for weight in listed:
        widths[weight.bits] += weight.elements
    return Coverage(
        dict(sorted(widths.items())),
        *_shares(listed, nominal_bits, ELIGIBLE, on_purpose),
        *_shares(listed, nominal_bits, _MATRICES, on_purpose),
        sum(weight.elements for weight in listed if weight.name in on_purpose),
    )


def cover_layers(
    weights: Iterable[Weight], nominal_bits: int, lifted: Collection[str] = frozenset()
) -> dict[str, float]:
    """Give the covered share of each layer's matrices, by the names up to their first number."""
    eligible: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    on_purpose = {name + end for name in lifted for end in _WIDER}
    for weight in weights:
        layer = _layer(weight.name)
        if layer and weight.role in _MATRICES:
            eligible[layer] += weight.elements
            if weight.bits <= nominal_bits or weight.name in on_purpose:
                covered[layer] += weight.elements
    return {layer: covered[layer] / count for layer, count in eligible.items()}


def check_layers(variant: str, file: str, shares: Mapping[str, float], nominal_bits: int) -> None:
    """Refuse a graph that has a layer which quantizing passed by.

    Raises:
        StageError: names the layers of which less than `MIN_LAYER_COVERAGE` is in `nominal_bits`
            or less, or wider on purpose.
    """
    skipped = [layer for layer, share in shares.items() if share < MIN_LAYER_COVERAGE]
    if skipped:
        raise StageError(
            f"variant {variant}: {', '.join(skipped)} of {file} kept wide weights: "
            f"{shares[skipped[0]]:.0%} of {skipped[0]} are in {nominal_bits} bits or less",
            hint="choose a smaller block_size; if that is not it, report this with the recipe",
        )


def check_coverage(variant: str, file: str, coverage: Coverage, nominal_bits: int) -> None:
    """Refuse a graph most of whose matrices are wider than its variant says.

    Raises:
        StageError: less than `MIN_COVERAGE` of the matrices are in `nominal_bits` or less or wider
            on purpose, or more than `MOST_LIFTED` of them are that.
    """
    if coverage.matmul_share < MIN_COVERAGE:
        raise StageError(
            f"variant {variant}: only {coverage.matmul_share:.0%} of the matrix weights of {file} "
            f"are stored in {nominal_bits} bits or less, {MIN_COVERAGE:.0%} are needed for the "
            "name to be true",
            hint="take the component out of keep_fp16, or choose a smaller block_size",
        )
    lifted = coverage.lifted / max(coverage.matmul_eligible, 1)
    if lifted > MOST_LIFTED:
        raise StageError(
            f"variant {variant}: its max_bytes lifts {lifted:.0%} of the matrix weights of {file} "
            f"over {nominal_bits} bits, {MOST_LIFTED:.0%} at most leave the name true",
            hint="lower max_bytes, or make it a variant of the wider weights with this max_bytes",
        )


def _layer(name: str) -> str:
    """Give "transformer_blocks.7" of "transformer_blocks.7.attn.to_q.weight", "" of no layer's."""
    parts = name.split(".")
    number = next((index for index, part in enumerate(parts) if part.isdigit()), 0)
    return ".".join(parts[: number + 1]) if number else ""


def _shares(
    weights: Iterable[Weight], nominal_bits: int, roles: frozenset[Role], lifted: frozenset[str]
) -> tuple[int, int]:
    chosen = [weight for weight in weights if weight.role in roles]
    eligible = sum(weight.elements for weight in chosen)
    covered = sum(
        weight.elements for weight in chosen if weight.bits <= nominal_bits or weight.name in lifted
    )
    return eligible, covered
