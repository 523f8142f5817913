"""Fit a written variant to its byte budget by moving weights between 4, 8 and 16 bits.

An int8 variant over its budget lowers the weights that lose least to 4 bits; an int4 variant with
bytes to spare lifts those that gain most. Both may lift to 16: a matrix of 8 bits has its
activation rounded, too, and where that is what errs, only 16 help.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.quantization.budget import Allocation, Item, Option, allocate
from lofi_engine.quantization.forms import FP16, Form, stored_as, stored_bytes
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
Others = Mapping[Key, tuple[Form, ...]]
"""The forms a weight could have instead of the one it has."""


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
    others = _alternatives(work, (4, 16) if lowering else (8, 16))
    left = _bytes_to_give(work, others, work.variant.max_bytes)
    items = _items(work, others)
    allocation = allocate(items, left)
    for (component, weight), forms in others.items():
        if chosen := allocation.chosen[_label(component, weight)]:
            work.forms[component][weight.name] = forms[chosen - 1]
            work.moved.setdefault(component, []).append(weight.name)
    work.allocation = _describe(others, items, allocation)
    return tuple(file for file in work.bundle.graphs if Path(file).stem in work.moved)


def _alternatives(work: Work, widths: tuple[int, ...]) -> Others:
    """List the weights that could be stored in other widths instead, and how."""
    found: dict[Key, tuple[Form, ...]] = {}
    for component, weights in work.weights.items():
        if component in FLOOR_BITS or not work.quantizes(component):
            continue  # what has a floor is wide enough, and too small to bring bytes
        for weight in weights:
            now = work.forms[component][weight.name]
            forms = (_form(weight, bits, work) for bits in widths if bits != now.bits)
            others = tuple(form for form in forms if form is not None)
            if others and now.kind != "fp16":
                found[component, weight] = others
    return found


def _form(weight: Weight, bits: int, work: Work) -> Form | None:
    return FP16 if bits == FP16.bits else wanted_form(weight, bits, work.variant)


def _bytes_to_give(work: Work, others: Others, max_bytes: int) -> int:
    """Give what is left for the weights that may move; refuses before any error is measured."""
    now_bytes = smallest_bytes = 0
    for key in others:
        sizes = _sizes(work, key, others)
        now_bytes += sizes[0]
        smallest_bytes += min(sizes)
    fixed_bytes = work.total_bytes() - now_bytes
    if fixed_bytes + smallest_bytes > max_bytes:
        raise StageError(
            f"variant {work.name}: max_bytes {max_bytes} is out of reach, the smallest size is "
            f"{fixed_bytes + smallest_bytes} bytes",
            hint="raise max_bytes, or choose a narrower weights or a larger block_size",
        )
    return max_bytes - fixed_bytes


def _sizes(work: Work, key: Key, others: Others) -> list[int]:
    """Give the bytes of a weight as it is now, and in its other forms."""
    component, weight = key
    node_bytes = NODE_BYTES * (DECODER_GRAPHS if component == GATED else 1)
    now = stored_bytes(work.forms[component][weight.name], weight.shape)
    return [now, *(stored_bytes(form, weight.shape) + node_bytes for form in others[key])]


def _items(work: Work, others: Others) -> list[Item]:
    """Give each weight's options: as it is now, and in its other forms."""
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of, let_go

    files = {Path(file).stem: work.bundle.folder / file for file in work.bundle.graphs}
    components = {component for component, _ in others}
    graphs = {name: load_graph(files[name], matrices=True).graph for name in components}
    items = []
    for (component, weight), forms in others.items():
        initializer = graphs[component].initializers[weight.name]
        array = np.ascontiguousarray(array_of(initializer), dtype=np.float32)
        now = work.forms[component][weight.name]
        options = tuple(
            Option(size_bytes, _error(work, component, weight, form, array))
            for form, size_bytes in zip(
                (now, *forms), _sizes(work, (component, weight), others), strict=True
            )
        )
        items.append(Item(_label(component, weight), options))
        let_go(initializer)
    return items


def _error(
    work: Work, component: str, weight: Weight, form: Form, array: npt.NDArray[np.float32]
) -> float:
    if form == FP16:
        return 0.0  # hundreds of times less than 8 bits
    calibration = work.bundle.calibration
    if calibration is None:
        raise ValueError("a budget is fitted by calibrated errors")
    return calibration.error_of(
        component,
        weight.name,
        f"{form.kind} {form.bits} {form.block_size}",
        lambda: stored_as(form, array),
        rounds_activation=form.kind == "dynamic",
    )


def _describe(others: Others, items: list[Item], allocation: Allocation) -> dict[str, Any]:
    """Give the table that was chosen from, and what the choice promises, as JSON values."""
    table = {}
    for ((_, weight), forms), item in zip(others.items(), items, strict=True):
        chosen = allocation.chosen[item.name]
        table[item.name] = {
            "elements": weight.elements,
            "bytes": [option.size_bytes for option in item.options],
            "errors": [option.error for option in item.options],
            "moved_to_bits": forms[chosen - 1].bits if chosen else None,
        }
    return {
        "predicted_error": allocation.error,
        "least_possible_error": allocation.bound,
        "weights": table,
    }


def _label(component: str, weight: Weight) -> str:
    return f"{component}/{weight.name}"
