"""Make one variant of an exported bundle: plan, store, fit the budget, prove, record."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.oldest import newest, oldest_onnxruntime
from lofi_engine.quantization.budget import Choice, choose_narrow, choose_wide
from lofi_engine.quantization.coverage import (
    MIN_COVERAGE,
    Coverage,
    check_coverage,
    measure_coverage,
)
from lofi_engine.quantization.distance import Distance, measure_distances
from lofi_engine.quantization.forms import FP16, Form, stored_bytes, stored_error
from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.rules import (
    FLOOR_BITS,
    NOMINAL_BITS,
    component_bits,
    plan_forms,
    wanted_form,
)
from lofi_engine.quantization.weights import Weight, find_weights

if TYPE_CHECKING:
    from lofi_engine.recipe.model import Variant

Report = Callable[[str], None]

NODE_BYTES = 512
"""How much a changed weight may add to its graph besides its tensors: names, nodes, attributes."""

GATED = "transformer_decoder"
"""The component that must be what the variant's name says."""


@dataclass(frozen=True)
class Bundle:
    """An exported float32 bundle and what its graphs answer.

    Args:
        folder: where it lies.
        graphs: its graph files, in order.
        others: its other files (tokenizer, vocabulary), copied as they are.
        examples: inputs by component and name.
        references: float32 outputs on those inputs, by component and name.
    """

    folder: Path
    graphs: tuple[str, ...]
    others: tuple[str, ...]
    examples: Mapping[str, Mapping[str, Any]]
    references: Mapping[str, Mapping[str, Any]]


@dataclass
class _Work:
    """One variant being made."""

    name: str
    variant: Variant
    bundle: Bundle
    target: Path
    weights: dict[str, tuple[Weight, ...]] = field(default_factory=dict)
    forms: dict[str, dict[str, Form]] = field(default_factory=dict)
    kept_float32: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    moved: dict[str, list[str]] = field(default_factory=dict)


def build_variant(
    name: str, variant: Variant, bundle: Bundle, target: Path, report: Report
) -> dict[str, Any]:
    """Write the bundle of one variant into `target` and give its record.

    Args:
        name: the variant's name.
        variant: what the recipe asks; checked by `rules.check_variant` before.
        bundle: the float32 bundle.
        target: an empty folder.
        report: called with a line for a human after each graph.

    Raises:
        StageError: a graph does not run or is not finite, the decoder is not what the name says,
            or the bundle is over its budget.
    """
    work = _Work(name, variant, bundle, target)
    for file in bundle.others:
        shutil.copyfile(bundle.folder / file, target / file)
    distances: dict[str, dict[str, Distance]] = {}
    for file in bundle.graphs:
        _plan(work, file)
        _write(work, file)
    changed = _fit_budget(work)
    for file in changed:
        _write(work, file)
    for file in bundle.graphs:
        component = Path(file).stem
        distances[component] = measure_distances(
            target / file, bundle.examples[component], bundle.references[component]
        )
        report(f"{name}/{file}")
    _check_bytes(work)
    return _record(work, distances)


def _plan(work: _Work, file: str) -> None:
    component = Path(file).stem
    model = load_graph(work.bundle.folder / file, matrices=_quantizes(work, component))
    weights = find_weights(model.graph)
    work.weights[component] = weights
    work.forms[component] = plan_forms(component, weights, work.variant)


def _write(work: _Work, file: str) -> None:
    component = Path(file).stem
    work.kept_float32[component] = rewrite_graph(
        work.bundle.folder / file,
        work.target / file,
        work.forms[component],
        matrices=_quantizes(work, component),
    )


def _quantizes(work: _Work, component: str) -> bool:
    return component_bits(component, work.variant) < FP16.bits


def _fit_budget(work: _Work) -> tuple[str, ...]:
    """Move weights between 8 and 4 bits as the budget says; give the graphs to write again."""
    if work.variant.max_bytes is None or work.variant.weights == "fp16":
        return ()
    left = work.variant.max_bytes - _total_bytes(work)
    lowering = work.variant.weights == "int8"
    if left >= 0 if lowering else left <= 0:
        return ()
    others = _alternatives(work, 4 if lowering else 8)
    choices = _choices(work, others, lowering)
    if lowering:
        moved = choose_narrow(choices, -left)
    else:
        lifted = _liftable_elements(work)
        moved = choose_wide(choices, left, elements_to_spend=lifted)
    for (component, weight), form in others.items():
        label = _label(component, weight)
        if label in moved:
            work.forms[component][weight.name] = form
            work.moved.setdefault(component, []).append(weight.name)
    return tuple(file for file in work.bundle.graphs if Path(file).stem in work.moved)


def _alternatives(work: _Work, bits: int) -> dict[tuple[str, Weight], Form]:
    """List the weights that could be stored in `bits` instead, and how."""
    found: dict[tuple[str, Weight], Form] = {}
    for component, weights in work.weights.items():
        floor = FLOOR_BITS.get(component, 0)
        if floor > bits or component_bits(component, work.variant) > 8:
            continue
        for weight in weights:
            now = work.forms[component][weight.name]
            other = wanted_form(weight, bits, work.variant)
            if other is not None and now.kind != "fp16" and now.bits != bits:
                found[component, weight] = other
    return found


def _choices(
    work: _Work, others: Mapping[tuple[str, Weight], Form], lowering: bool
) -> list[Choice]:
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of

    files = {Path(file).stem: work.bundle.folder / file for file in work.bundle.graphs}
    graphs = {
        component: load_graph(files[component], matrices=True).graph for component, _ in others
    }
    choices = []
    for (component, weight), other in others.items():
        now = work.forms[component][weight.name]
        wide, narrow = (now, other) if lowering else (other, now)
        initializer = graphs[component].initializers[weight.name]
        array = np.ascontiguousarray(array_of(initializer), dtype=np.float32)
        bytes_moved = stored_bytes(wide, weight.shape) - stored_bytes(narrow, weight.shape)
        choices.append(
            Choice(
                _label(component, weight),
                bytes_moved - NODE_BYTES if lowering else bytes_moved + NODE_BYTES,
                stored_error(narrow, array) - stored_error(wide, array),
                weight.elements if component == GATED else 0,
            )
        )
    return choices


def _liftable_elements(work: _Work) -> int:
    """Count the decoder's numbers that may leave the nominal width with coverage still met."""
    eligible = [
        weight for weight in work.weights.get(GATED, ()) if weight.role in ("matmul", "linear")
    ]
    forms = work.forms.get(GATED, {})
    wider = sum(weight.elements for weight in eligible if forms[weight.name].bits > 4)
    return int(sum(weight.elements for weight in eligible) * (1 - MIN_COVERAGE)) - wider


def _label(component: str, weight: Weight) -> str:
    return f"{component}/{weight.name}"


def _total_bytes(work: _Work) -> int:
    return sum(path.stat().st_size for path in work.target.iterdir())


def _check_bytes(work: _Work) -> None:
    allowed, total = work.variant.max_bytes, _total_bytes(work)
    if allowed is not None and total > allowed:
        raise StageError(
            f"variant {work.name}: {total} bytes, which is {total - allowed} over its max_bytes "
            f"of {allowed}",
            hint="raise max_bytes, or choose a narrower weights or a larger block_size",
        )


def _record(work: _Work, distances: Mapping[str, Mapping[str, Distance]]) -> dict[str, Any]:
    import onnx_ir as ir

    nominal = NOMINAL_BITS[work.variant.weights]
    coverage: dict[str, Coverage] = {}
    releases: list[str] = []
    opsets: set[int] = set()
    for file in work.bundle.graphs:
        component = Path(file).stem
        coverage[component] = measure_coverage(work.target / file, nominal)
        model = ir.load(work.target / file)
        releases.append(oldest_onnxruntime(model))
        opsets.add(model.opset_imports[""])
        if component == GATED:
            check_coverage(work.name, file, coverage[component], nominal)
    total = _merge_coverage(coverage.values())
    return {
        "variant": work.name,
        "asked": asdict(work.variant),
        "total_bytes": _total_bytes(work),
        "sizes": _sizes(work.target),
        "widths": {name: _json_widths(found) for name, found in coverage.items()},
        "widths_total": _json_widths(total),
        "coverage": {name: found.share for name, found in coverage.items()},
        "coverage_total": total.share,
        "matmul_coverage": {name: found.matmul_share for name, found in coverage.items()},
        "moved_by_budget": work.moved,
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


def _merge_coverage(found: Any) -> Coverage:
    widths: Counter[int] = Counter()
    sums = [0, 0, 0, 0]
    for part in found:
        widths.update(part.widths)
        counts = (part.eligible, part.covered, part.matmul_eligible, part.matmul_covered)
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
