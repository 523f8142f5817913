"""What a variant of a recipe means for each component, and what it may not ask.

What is allowed stands in `methods`; here it is applied to weights.
"""

from __future__ import annotations

from collections.abc import Iterable

from lofi_engine.errors import StageError
from lofi_engine.quantization.forms import DYNAMIC, FP16, Form, fit_block
from lofi_engine.quantization.methods import (
    ALWAYS_FP16,
    AUTO,
    BLOCK_METHODS,
    BLOCK_SIZES,
    CALIBRATED,
    FLOOR_BITS,
    METHODS_OF,
    NOMINAL_BITS,
    BlockMethod,
)
from lofi_engine.quantization.weights import Weight
from lofi_engine.recipe.model import Variant
from lofi_engine.recipe.problems import listed

MIN_ELEMENTS = 1024
"""Smaller matrices and tables are left alone; they count as not covered."""


def check_variant(name: str, variant: Variant, components: Iterable[str]) -> None:
    """Refuse what cannot or must not be built; cheap, reads no file.

    Raises:
        StageError: says which key of the variant is wrong, what is allowed, and why.
    """
    where = f"variant {name}"
    if variant.weights not in NOMINAL_BITS:
        raise StageError(
            f"{where}: weights '{variant.weights}' is not one of {', '.join(NOMINAL_BITS)}"
        )
    known = set(components)
    for component in variant.keep_fp16:
        if component not in known:
            raise StageError(
                f"{where}: keep_fp16 names '{component}', which is no component",
                hint=f"they are {', '.join(sorted(known))}",
            )
    _check_method(where, variant)
    _check_block_size(where, variant)
    if NOMINAL_BITS[variant.weights] < FP16.bits:
        for component, reason in ALWAYS_FP16.items():
            if component in known and component not in variant.keep_fp16:
                raise StageError(
                    f"{where}: {component} is never stored under fp16, because {reason}",
                    hint=f"add {component} to keep_fp16",
                )


def plan_forms(component: str, weights: Iterable[Weight], variant: Variant) -> dict[str, Form]:
    """Say how each weight of a component is stored, by name.

    Matrices and tables that are small, or that no block divides, get float16.
    """
    bits = component_bits(component, variant)
    forms: dict[str, Form] = {}
    for weight in weights:
        form = None
        if weight.elements >= MIN_ELEMENTS:
            form = wanted_form(weight, bits, variant)
        forms[weight.name] = form or FP16
    return forms


def component_bits(component: str, variant: Variant) -> int:
    """Give the width of a component's matrices: the variant's, or the component's floor."""
    nominal = NOMINAL_BITS[variant.weights]
    if component in variant.keep_fp16:
        return FP16.bits
    return max(nominal, FLOOR_BITS.get(component, nominal))


def wanted_form(weight: Weight, bits: int, variant: Variant) -> Form | None:
    """Give the form of a matrix or table in `bits`, or None where there is none."""
    block_size = variant.block_size
    if bits == FP16.bits or weight.role not in ("matmul", "table"):
        return None
    if weight.role == "table":
        fitting = fit_block(weight.shape[1], block_size)
        if fitting is None and bits == DYNAMIC.bits:
            fitting = weight.shape[1]  # one scale a row: nothing demands a power of two here
        return Form("table", bits, fitting) if fitting else None
    if bits == DYNAMIC.bits and variant.method != "weight-only":
        return DYNAMIC
    fitting = fit_block(weight.shape[0], block_size)
    method = _block_method(variant) if bits < DYNAMIC.bits else "rtn"
    return Form("blocks", bits, fitting, method) if fitting else None


def _block_method(variant: Variant) -> BlockMethod:
    return next((method for method in BLOCK_METHODS if method == variant.method), "rtn")


def _check_method(where: str, variant: Variant) -> None:
    method = variant.method
    if variant.weights == "fp16" or method == AUTO:
        return
    allowed = METHODS_OF[variant.weights]
    if method not in allowed:
        raise StageError(
            f"{where}: method '{method}' does not make {variant.weights}",
            hint=f"use {listed(allowed)}",
        )


def _check_block_size(where: str, variant: Variant) -> None:
    if variant.block_size not in BLOCK_SIZES:
        raise StageError(
            f"{where}: block_size {variant.block_size} is not {listed(map(str, BLOCK_SIZES))}",
            hint="32 is the most accurate common choice, 128 the smallest file",
        )


def is_calibrated(variant: Variant) -> bool:
    """Say whether making a variant may ask what the pipeline gives the graphs."""
    narrow = variant.weights != "fp16"
    return narrow and (variant.method in CALIBRATED or variant.max_bytes is not None)
