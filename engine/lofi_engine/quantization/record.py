"""What a finished variant is: bytes, widths, coverage, distances, and who can load it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from lofi_engine.onnx_graphs.oldest import newest, oldest_onnxruntime
from lofi_engine.quantization.coverage import Coverage, check_coverage, measure_coverage
from lofi_engine.quantization.distance import Distance
from lofi_engine.quantization.methods import NOMINAL_BITS
from lofi_engine.quantization.work import GATED, Work


def describe_variant(work: Work, distances: Mapping[str, Mapping[str, Distance]]) -> dict[str, Any]:
    """Give a variant's record as JSON values, read from the files it is made of.

    Raises:
        StageError: the decoder is not what the variant's name says.
    """
    import onnx_ir as ir

    nominal = NOMINAL_BITS[work.variant.weights]
    coverage: dict[str, Coverage] = {}
    releases: list[str] = []
    opsets: set[int] = set()
    for file in work.bundle.graphs:
        component = Path(file).stem
        coverage[component] = measure_coverage(work.target / file, nominal, work.lifted(component))
        model = ir.load(work.target / file)
        releases.append(oldest_onnxruntime(model))
        opsets.add(model.opset_imports[""])
        if component == GATED:
            check_coverage(work.name, file, coverage[component], nominal)
    total = _merge_coverage(coverage.values())
    return {
        "variant": work.name,
        "asked": asdict(work.variant),
        "total_bytes": work.total_bytes(),
        "sizes": _sizes(work.target),
        "widths": {name: _json_widths(found) for name, found in coverage.items()},
        "widths_total": _json_widths(total),
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
        "opset": max(opsets),
    }


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


def _sizes(folder: Path) -> dict[str, int]:
    """Give bytes by component: external weights count with their graph."""
    sizes: Counter[str] = Counter()
    for path in sorted(folder.iterdir()):
        sizes[path.stem.removesuffix("_weights")] += path.stat().st_size
    return dict(sizes)
