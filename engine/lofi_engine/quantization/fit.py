"""Fit a written variant to its byte budget by moving weights between 8 and 4 bits.

An int8 variant over its budget lowers the weights that lose least; an int4 variant with bytes to
spare lifts those that gain most, as long as its decoder stays what its name says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.quantization.budget import Choice, choose_narrow, choose_wide
from lofi_engine.quantization.coverage import MIN_COVERAGE
from lofi_engine.quantization.forms import Form, stored_bytes, stored_error
from lofi_engine.quantization.methods import FLOOR_BITS
from lofi_engine.quantization.rewrite import load_graph
from lofi_engine.quantization.rules import wanted_form
from lofi_engine.quantization.weights import Weight
from lofi_engine.quantization.work import GATED, Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NODE_BYTES = 512
"""How much a changed weight may add to its graph besides its tensors: names, nodes, attributes."""
DECODER_GRAPHS = 2
"""A weight of the decoder is read by the whole graph and by one of its halves."""


def fit_budget(work: Work) -> tuple[str, ...]:
    """Move weights between 8 and 4 bits as the budget says.

    The bundle must have been written once: the bytes it takes are measured, not guessed.

    Returns:
        The graphs to write again.
    """
    if work.variant.max_bytes is None or work.variant.weights == "fp16":
        return ()
    left = work.variant.max_bytes - work.total_bytes()
    lowering = work.variant.weights == "int8"
    fits = left >= 0
    if lowering == fits:
        return ()  # an int8 variant that fits, or an int4 variant with nothing to spare
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


def _alternatives(work: Work, bits: int) -> dict[tuple[str, Weight], Form]:
    """List the weights that could be stored in `bits` instead, and how."""
    found: dict[tuple[str, Weight], Form] = {}
    for component, weights in work.weights.items():
        floor = FLOOR_BITS.get(component, 0)
        if floor > bits or not work.quantizes(component):
            continue
        for weight in weights:
            now = work.forms[component][weight.name]
            other = wanted_form(weight, bits, work.variant)
            if other is not None and now.kind != "fp16" and now.bits != bits:
                found[component, weight] = other
    return found


def _choices(work: Work, others: Mapping[tuple[str, Weight], Form], lowering: bool) -> list[Choice]:
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of

    files = {Path(file).stem: work.bundle.folder / file for file in work.bundle.graphs}
    components = {component for component, _ in others}
    graphs = {name: load_graph(files[name], matrices=True).graph for name in components}
    choices = []
    for (component, weight), other in others.items():
        now = work.forms[component][weight.name]
        wide, narrow = (now, other) if lowering else (other, now)
        initializer = graphs[component].initializers[weight.name]
        array = np.ascontiguousarray(array_of(initializer), dtype=np.float32)
        bytes_moved = stored_bytes(wide, weight.shape) - stored_bytes(narrow, weight.shape)
        node_bytes = NODE_BYTES * (DECODER_GRAPHS if component == GATED else 1)
        choices.append(
            Choice(
                _label(component, weight),
                bytes_moved - node_bytes if lowering else bytes_moved + node_bytes,
                _ranking_error(narrow, array) - _ranking_error(wide, array),
                weight.elements if component == GATED else 0,
            )
        )
    return choices


def _ranking_error(form: Form, array: npt.NDArray[np.float32]) -> float:
    """Measure by rounding whatever the method: hqq and k-quant take hours on a full decoder."""
    return stored_error(replace(form, method="rtn"), array)


def _liftable_elements(work: Work) -> int:
    """Count the decoder's numbers that may leave the nominal width with coverage still met."""
    eligible = [
        weight for weight in work.weights.get(GATED, ()) if weight.role in ("matmul", "linear")
    ]
    forms = work.forms.get(GATED, {})
    wider = sum(weight.elements for weight in eligible if forms[weight.name].bits > 4)
    return int(sum(weight.elements for weight in eligible) * (1 - MIN_COVERAGE)) - wider


def _label(component: str, weight: Weight) -> str:
    return f"{component}/{weight.name}"
