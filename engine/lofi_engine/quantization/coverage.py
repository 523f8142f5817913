"""How many of a graph's weights are really stored in how many bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.quantization.weights import ELIGIBLE, Role, Weight, find_weights

MIN_COVERAGE = 0.9
"""The least share of the decoder's matrices a variant must store as its name says."""


@dataclass(frozen=True)
class Coverage:
    """The widths of a graph's weights.

    Args:
        widths: weight elements by width in bits; scales and zero points do not count.
        eligible: elements of matrices and tables, the weights a variant's name speaks of.
        covered: those of them stored in the nominal width or less.
        matmul_eligible: elements of matrices alone.
        matmul_covered: those of them stored in the nominal width or less.
    """

    widths: Mapping[int, int]
    eligible: int
    covered: int
    matmul_eligible: int
    matmul_covered: int

    @property
    def share(self) -> float:
        """Covered over eligible; 1 where nothing is eligible."""
        return self.covered / self.eligible if self.eligible else 1.0

    @property
    def matmul_share(self) -> float:
        """The same for matrices alone."""
        return self.matmul_covered / self.matmul_eligible if self.matmul_eligible else 1.0


def measure_coverage(path: Path, nominal_bits: int) -> Coverage:
    """Read the graph at `path` and count its weights by width."""
    import onnx_ir as ir

    return count_widths(find_weights(ir.load(path).graph), nominal_bits)


def count_widths(weights: Iterable[Weight], nominal_bits: int) -> Coverage:
    """Count `weights` by width, against a nominal width in bits."""
    listed = list(weights)
    widths: Counter[int] = Counter()
    for weight in listed:
        widths[weight.bits] += weight.elements
    matrices: frozenset[Role] = frozenset({"matmul", "linear"})
    return Coverage(
        dict(sorted(widths.items())),
        *_shares(listed, nominal_bits, ELIGIBLE),
        *_shares(listed, nominal_bits, matrices),
    )


def check_coverage(variant: str, file: str, coverage: Coverage, nominal_bits: int) -> None:
    """Refuse a graph most of whose matrices are wider than its variant says.

    Raises:
        StageError: less than `MIN_COVERAGE` of the matrices are in `nominal_bits` or less.
    """
    if coverage.matmul_share < MIN_COVERAGE:
        raise StageError(
            f"variant {variant}: only {coverage.matmul_share:.0%} of the matrix weights of {file} "
            f"are stored in {nominal_bits} bits or less, {MIN_COVERAGE:.0%} are needed for the "
            "name to be true",
            hint="take the component out of keep_fp16, or choose a smaller block_size",
        )


def _shares(
    weights: Iterable[Weight], nominal_bits: int, roles: frozenset[Role]
) -> tuple[int, int]:
    chosen = [weight for weight in weights if weight.role in roles]
    eligible = sum(weight.elements for weight in chosen)
    covered = sum(weight.elements for weight in chosen if weight.bits <= nominal_bits)
    return eligible, covered
