"""What a finished variant is: bytes, widths, coverage, distances, and who can load it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from lofi_engine.onnx_graphs.oldest import newest, oldest_onnxruntime
from lofi_engine.quantization.coverage import (
    Coverage,
    check_coverage,
    check_layers,
    cover_layers,
    measure_coverage,
)
from lofi_engine.quantization.distance import Distance
from lofi_engine.quantization.methods import NOMINAL_BITS
from lofi_engine.quantization.stored import Stored, stored_by_operator, widths_line
from lofi_engine.quantization.weights import find_weights
from lofi_engine.quantization.work import GATED, Work


def describe_variant(work: Work, distances: Mapping[str, Mapping[str, Distance]]) -> dict[str, Any]:
    """Give a variant's record as JSON values, read from the files it is made of.

    Raises:
        StageError: the decoder is not what the variant's name says.
    """
    import onnx_ir as ir
    import onnxruntime

    nominal = NOMINAL_BITS[work.variant.weights]
    coverage: dict[str, Coverage] = {}
    operators: dict[str, dict[str, Stored]] = {}
    releases: list[str] = []
    opsets: set[int] = set()
    for file in work.bundle.graphs:
        component = Path(file).stem
        coverage[component] = measure_coverage(work.target / file, nominal, work.lifted(component))
        model = ir.load(work.target / file)
        operators[component] = stored_by_operator(model.graph)
        releases.append(oldest_onnxruntime(model))
        opsets.add(model.opset_imports[""])
        if component == GATED:
            check_coverage(work.name, file, coverage[component], nominal)
            layers = cover_layers(find_weights(model.graph), nominal, work.lifted(component))
            check_layers(work.name, file, layers, nominal)
    total = _merge_coverage(coverage.values())
    return {
        "variant": work.name,
        "asked": asdict(work.variant),
        "total_bytes": work.total_bytes(),
        "sizes": component_bytes(work.target),
        "widths": {name: _json_widths(found) for name, found in coverage.items()},
        "widths_total": _json_widths(total),
        "operators": {
            name: {operator: _json_stored(one) for operator, one in found.items()}
            for name, found in operators.items()
        },
        "coverage": {name: found.share for name, found in coverage.items()},
        "coverage_total": total.share,
        "matmul_coverage": {name: found.matmul_share for name, found in coverage.items()},
        "moved_by_budget": work.moved,
        "lifted_total": total.lifted,
        "allocation": work.allocation,
        "kept_float32": {
            component: {reason: len(names) for reason, names in reasons.items()}
            for component, reasons in work.kept_float32.items()
        },
        "overflowing_fp16": {
            component: reasons["overflow"]
            for component, reasons in work.kept_float32.items()
            if "overflow" in reasons
        },
        "distances": {
            component: {output: asdict(distance) for output, distance in found.items()}
            for component, found in distances.items()
        },
        "oldest_onnxruntime": newest(releases),
        "newest_onnxruntime": onnxruntime.__version__,
        "opset": max(opsets),
    }


def lines_of(record: Mapping[str, Any]) -> Iterator[str]:
    """Tell people of a variant's record: a line a component, largest first, and one of all."""
    name = record["variant"]
    for component, size_bytes in sorted(record["sizes"].items(), key=lambda item: -item[1]):
        if component in record["widths"]:
            widths = widths_line(_by_bits(record["widths"][component]))
            yield f"{name}: {component} {size_bytes / 1e6:.2f} MB, {widths}"
    lifted = record["lifted_total"] / max(sum(record["widths_total"].values()), 1)
    on_purpose = f", {lifted:.0%} lifted on purpose" if lifted else ""
    yield (
        f"{name}: {record['total_bytes']} bytes, {widths_line(_by_bits(record['widths_total']))}; "
        f"coverage {record['coverage_total']:.1%}{on_purpose}; runs on the examples"
    )


def _by_bits(widths: Mapping[str, int]) -> dict[int, int]:
    return {int(bits): count for bits, count in widths.items()}


def _json_stored(stored: Stored) -> dict[str, Any]:
    widths = {str(bits): count for bits, count in sorted(stored.widths.items())}
    return {"bytes": stored.size_bytes, "widths": widths}


def _merge_coverage(found: Iterable[Coverage]) -> Coverage:
    widths: Counter[int] = Counter()
    sums = [0] * 5
    for part in found:
        widths.update(part.widths)
        counts = astuple(part)[1:]
        sums = [one + other for one, other in zip(sums, counts, strict=True)]
    return Coverage(dict(sorted(widths.items())), *sums)


def _json_widths(coverage: Coverage) -> dict[str, int]:
    return {str(bits): count for bits, count in coverage.widths.items()}


def component_bytes(folder: Path) -> dict[str, int]:
    """Give bytes by component: external weights count with their graph."""
    sizes: Counter[str] = Counter()
    for path in sorted(folder.iterdir()):
        sizes[path.stem.removesuffix("_weights")] += path.stat().st_size
    return dict(sizes)
