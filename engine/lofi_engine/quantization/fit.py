"""Fit a written variant to its byte budget by moving weights between 8 and 4 bits.

An int8 variant over its budget lowers the weights that lose least; an int4 variant with bytes to
spare lifts those that gain most.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.quantization.budget import Allocation, Item, Option, allocate
from lofi_engine.quantization.forms import Form, stored_as, stored_bytes
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

Key = tuple[str, Weight]
"""A component and one of its weights."""


def fit_budget(work: Work) -> tuple[str, ...]:
    """Move weights between 8 and 4 bits as the budget says.

    The bundle must have been written once: the bytes it takes are measured, not guessed.

    Returns:
        The graphs to write again.

    Raises:
        StageError: no choice of widths fits; says the smallest size there is.
    """
    if work.variant.max_bytes is None or work.variant.weights == "fp16":
        return ()
    lowering = work.variant.weights == "int8"
    fits = work.total_bytes() <= work.variant.max_bytes
    if lowering and fits:
        return ()
    others = _alternatives(work, 4 if lowering else 8)
    left = _bytes_to_give(work, others, work.variant.max_bytes)
    items = _items(work, others)
    allocation = allocate(items, left)
    for (component, weight), form in others.items():
        if allocation.chosen[_label(component, weight)]:
            work.forms[component][weight.name] = form
            work.moved.setdefault(component, []).append(weight.name)
    work.allocation = _describe(others, items, allocation)
    return tuple(file for file in work.bundle.graphs if Path(file).stem in work.moved)


def _alternatives(work: Work, bits: int) -> dict[Key, Form]:
    """List the weights that could be stored in `bits` instead, and how."""
    found: dict[Key, Form] = {}
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


def _bytes_to_give(work: Work, others: Mapping[Key, Form], max_bytes: int) -> int:
    """Give what is left for the weights that may move; refuses before any error is measured."""
    now_bytes = smallest_bytes = 0
    for key, form in others.items():
        now, other = _sizes(work, key, form)
        now_bytes += now
        smallest_bytes += min(now, other)
    fixed_bytes = work.total_bytes() - now_bytes
    if fixed_bytes + smallest_bytes > max_bytes:
        raise StageError(
            f"variant {work.name}: max_bytes {max_bytes} is out of reach, the smallest size is "
            f"{fixed_bytes + smallest_bytes} bytes",
            hint="raise max_bytes, or choose a narrower weights or a larger block_size",
        )
    return max_bytes - fixed_bytes


def _sizes(work: Work, key: Key, other: Form) -> tuple[int, int]:
    """Give the bytes of a weight as it is now, and in its other form."""
    component, weight = key
    node_bytes = NODE_BYTES * (DECODER_GRAPHS if component == GATED else 1)
    now = stored_bytes(work.forms[component][weight.name], weight.shape)
    return now, stored_bytes(other, weight.shape) + node_bytes


def _items(work: Work, others: Mapping[Key, Form]) -> list[Item]:
    """Give each weight's two options: as it is now, and in its other form."""
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of, let_go

    files = {Path(file).stem: work.bundle.folder / file for file in work.bundle.graphs}
    components = {component for component, _ in others}
    graphs = {name: load_graph(files[name], matrices=True).graph for name in components}
    items = []
    for (component, weight), other in others.items():
        initializer = graphs[component].initializers[weight.name]
        array = np.ascontiguousarray(array_of(initializer), dtype=np.float32)
        forms = work.forms[component][weight.name], other
        sizes = _sizes(work, (component, weight), other)
        options = tuple(
            Option(size_bytes, _error(work, component, weight, form, array))
            for form, size_bytes in zip(forms, sizes, strict=True)
        )
        items.append(Item(_label(component, weight), options))
        let_go(initializer)
    return items


def _error(
    work: Work, component: str, weight: Weight, form: Form, array: npt.NDArray[np.float32]
) -> float:
    calibration = work.bundle.calibration
    if calibration is None:
        raise ValueError("a budget is fitted by calibrated errors")
    return calibration.error_of(
        component,
        weight.name,
        f"{form.kind} {form.bits} {form.block_size}",
        lambda: stored_as(form, array),
    )


def _describe(
    others: Mapping[Key, Form], items: list[Item], allocation: Allocation
) -> dict[str, Any]:
    """Give the table that was chosen from, and what the choice promises, as JSON values."""
    table = {}
    for ((_, weight), form), item in zip(others.items(), items, strict=True):
        now, other = item.options
        table[item.name] = {
            "elements": weight.elements,
            "bytes": [now.size_bytes, other.size_bytes],
            "errors": [now.error, other.error],
            "moved_to_bits": form.bits if allocation.chosen[item.name] else None,
        }
    return {
        "predicted_error": allocation.error,
        "least_possible_error": allocation.bound,
        "weights": table,
    }


def _label(component: str, weight: Weight) -> str:
    return f"{component}/{weight.name}"
