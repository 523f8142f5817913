"""Make one variant of an exported bundle: plan, store, fit the budget, prove, record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.context import run_halves, split_context
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.distance import Distance, compare_outputs
from lofi_engine.quantization.fit import fit_budget
from lofi_engine.quantization.methods import CALIBRATED
from lofi_engine.quantization.operators import check_operators, check_opset
from lofi_engine.quantization.record import describe_variant, lines_of
from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.rules import plan_forms
from lofi_engine.quantization.weights import find_weights
from lofi_engine.quantization.work import GATED, Bundle, Work

if TYPE_CHECKING:
    from lofi_engine.calibration.grams import Grams
    from lofi_engine.recipe.model import Variant

Report = Callable[[int, str], None]
"""Takes how many graphs of this variant are stored, and a line for a human."""

MAX_CUT_DISTANCE = 1e-3
"""Root-mean-square difference between the decoder in two graphs and in one, over the output's
deviation, that every variant may have; mostly they are equal to the bit.

Where activations are rounded to 8 bits, a last digit that another fusion gives tips a rounding, and
that tips others: eight layers of random weights answer 0.008 apart, and 0.019 when their input
moves by 1e-6. No more is asked of the halves, then, than that they are as near to the whole as that
is to float32.
"""


def build_variant(
    name: str, variant: Variant, bundle: Bundle, target: Path, report: Report
) -> dict[str, Any]:
    """Write the bundle of one variant into `target` and give its record.

    Args:
        name: the variant's name.
        variant: what the recipe asks; checked by `rules.check_variant` before.
        bundle: the float32 bundle.
        target: an empty folder.
        report: told of every graph that is stored, and of the steps after that.

    Raises:
        StageError: a graph has an operator that the passes do not know, weights that are not
            finite, does not run or gives what is not finite, the decoder is not what the name says,
            its two halves give something else, or the bundle is over its budget.
    """
    work = Work(name, variant, bundle, target)
    write_variant(work, report)
    if work.allocation is not None and bundle.calibration is not None:
        work.allocation["error"] = bundle.calibration.error_of_bundle(target)
    distances: dict[str, dict[str, Distance]] = {}
    for file in bundle.graphs:
        component = Path(file).stem
        path = target / file
        outputs = GraphSession(path).run(bundle.examples[component])
        distances[component] = compare_outputs(path, bundle.references[component], outputs)
        if component == GATED:
            _check_cut(work, path, outputs, distances[component])
    record = describe_variant(work, distances)
    for line in lines_of(record):
        report(len(bundle.graphs), line)
    return record


def write_variant(work: Work, report: Report) -> None:
    """Store all of a variant's graphs within its budget; nothing is loaded or proven.

    Weights are mapped and converted one at a time, so the memory this takes does not grow with the
    bundle: a few copies of its largest weight.

    Args:
        work: of the variant; its target is an empty folder.
        report: as for `build_variant`.

    Raises:
        StageError: as for `build_variant`, of operators, weights and bytes.
    """
    bundle = work.bundle
    for file in bundle.others:
        shutil.copyfile(bundle.folder / file, work.target / file)
    for stored, file in enumerate(bundle.graphs, start=1):
        _plan(work, file)
        _write(work, file)
        report(stored, f"{work.name}: stored {file}")
    if work.variant.max_bytes is not None:
        report(len(bundle.graphs), f"{work.name}: fitting {work.variant.max_bytes} bytes")
    for file in fit_budget(work):
        _write(work, file)
    _check_bytes(work)


def _plan(work: Work, file: str) -> None:
    component = Path(file).stem
    model = load_graph(work.bundle.folder / file, matrices=work.quantizes(component))
    check_opset(file, model.opset_imports[""])
    check_operators(file, model.graph)
    work.weights[component] = find_weights(model.graph)
    work.forms[component] = plan_forms(component, work.weights[component], work.variant)


def _write(work: Work, file: str) -> None:
    component = Path(file).stem
    work.kept_float32[component] = rewrite_graph(
        work.bundle.folder / file,
        work.target / file,
        work.forms[component],
        matrices=work.quantizes(component),
        grams=_grams(work, component),
    )
    if component == GATED:
        split_context(work.target / file)


def _grams(work: Work, component: str) -> Grams | None:
    """Give what calibration heard of a component, where one of its weights is stored by it."""
    calibration = work.bundle.calibration
    asked = any(form.method in CALIBRATED for form in work.forms[component].values())
    return calibration.grams(component) if asked and calibration is not None else None


def _check_cut(
    work: Work, path: Path, whole: Mapping[str, Any], own: Mapping[str, Distance]
) -> None:
    """Hold the decoder's two halves to what the whole one at `path` answers.

    Args:
        work: of the variant.
        path: of the whole decoder.
        whole: what it answers.
        own: how far that is from float32.
    """
    halves = run_halves(path, work.bundle.examples[GATED])
    for name, distance in compare_outputs(path, whole, halves).items():
        allowed = max(MAX_CUT_DISTANCE, own[name].relative_rms)
        if not distance.relative_rms <= allowed:
            raise StageError(
                f"variant {work.name}: {path.name} cut in two gives '{name}' "
                f"{distance.relative_rms:.3g} standard deviations from the whole, more than "
                f"{allowed:.3g}",
                hint="report this with the recipe",
            )


def _check_bytes(work: Work) -> None:
    allowed, total = work.variant.max_bytes, work.total_bytes()
    if allowed is not None and total > allowed:
        raise StageError(
            f"variant {work.name}: {total} bytes, which is {total - allowed} over its max_bytes "
            f"of {allowed}",
            hint="raise max_bytes, or choose a narrower weights or a larger block_size",
        )
