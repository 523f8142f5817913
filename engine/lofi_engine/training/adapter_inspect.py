"""Everything that can be known of a LoRA file, as JSON values and as lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.models.registry import FAMILIES
from lofi_engine.models.weight_names import Shape, describe_misfit
from lofi_engine.training.adapter_config import module_alpha
from lofi_engine.training.adapter_files import (
    LOADERS_CONFIG,
    LOW_BITS,
    facts_of,
    is_folded,
)
from lofi_engine.training.adapter_names import DOWN, TABLE_DOWN, TABLE_UP, UP
from lofi_engine.training.adapter_reading import AdapterFile
from lofi_engine.training.adapter_targets import ending

if TYPE_CHECKING:
    import torch

_LONG = 100
"""Metadata longer than this is not printed in full."""


def inspect_adapter(adapter: AdapterFile, base: str | None = None) -> dict[str, Any]:
    """Gather what can be known of an adapter.

    Args:
        adapter: as `read_adapter` gives it.
        base: a base to hold it against, as a recipe's `base.model` names one; folders are relative
            to where one is.

    Returns:
        JSON values. "change_norm" is the Frobenius norm, over all modules, of what is added to the
        base's weights at strength 1; "is_no_op" whether that is nothing.

    Raises:
        StageError: a weight is not finite, or the base is not known.
    """
    modules = sorted(adapter.parsed.parts)
    norms = _change_norms(adapter)
    config = adapter.config or {}
    trained = {adapter.trained_scale(module) for module in modules}
    scales = sorted(scale for scale in trained if scale is not None)
    alphas = {module_alpha(config, module) for module in modules} if config else set()
    facts: dict[str, Any] = {
        "file": str(adapter.file),
        "size_bytes": adapter.file.stat().st_size,
        "form": adapter.form,
        "ranks": sorted({adapter.rank(module) for module in modules}),
        "alphas": sorted(alphas or set(adapter.alphas.values())),
        "rslora": config.get("use_rslora", False) if config else None,
        "dora": adapter.is_dora,
        "scales": scales,
        "scale_is_in_weights": is_folded(adapter.metadata),
        "types": sorted({part.dtype for name, part in adapter.stored.items() if name != LOW_BITS}),
        "parameters": sum(
            math.prod(part.shape) for name, part in adapter.stored.items() if name != LOW_BITS
        ),
        "targets": _targets(adapter, norms),
        "base": adapter.base,
        "change_norm": math.hypot(*norms.values()),
        "is_no_op": not any(norms.values()) and not adapter.is_dora,
        "others": list(adapter.parsed.others),
        "metadata": facts_of(adapter.metadata, config),
    }
    facts["notes"] = list(_notes(adapter, facts))
    if base is not None:
        facts["fit"] = _fit(adapter, base)
    return facts


def adapter_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Write the facts for people."""
    yield f"{facts['file']}"
    rows = [
        ("form", _FORMS[facts["form"]]),
        (
            "size",
            f"{facts['size_bytes'] / 1e6:.1f} MB, {facts['parameters'] / 1e6:.2f} million "
            f"weights, {', '.join(facts['types'])}",
        ),
        ("rank", _several(facts["ranks"])),
        ("alpha", _several(facts["alphas"]) or "not stated"),
        ("rsLoRA", {True: "yes", False: "no", None: "not stated"}[facts["rslora"]]),
        ("DoRA", "yes" if facts["dora"] else "no"),
        ("scale", _scale_line(facts)),
        ("base", facts["base"] or "not stated"),
        (
            "change",
            "none: it is a no-op"
            if facts["is_no_op"]
            else f"norm {facts['change_norm']:.4g} at strength 1",
        ),
    ]
    yield from (f"  {name:<8}{value}" for name, value in rows)
    yield "  targets"
    for name, target in facts["targets"].items():
        yield f"    {name}: {target['modules']} modules, change {target['change_norm']:.4g}"
    if facts["metadata"]:
        yield "  metadata"
        yield from (f"    {key}: {_short(text)}" for key, text in facts["metadata"].items())
    yield from (f"  note: {note}" for note in facts["notes"])
    if "fit" in facts:
        fit = facts["fit"]
        yield f"  {fit['base']}: {'fits' if fit['fits'] else 'does not fit: ' + fit['misfit']}"
        yield from (f"  note: {note}" for note in fit["notes"])


_FORMS = {
    "peft": "PEFT folder",
    "diffusers": "diffusers: ACE-Step's load_lora, ComfyUI",
    "kohya": "kohya: ComfyUI",
}


def _scale_line(facts: Mapping[str, Any]) -> str:
    if not facts["scales"]:
        return "not stated; loaders play it at 1"
    said = _several([f"{scale:.6g}" for scale in facts["scales"]])
    return f"{said}, in the weights: strength 1 plays it" if facts["scale_is_in_weights"] else said


def _notes(adapter: AdapterFile, facts: Mapping[str, Any]) -> Iterator[str]:
    """Say what a user would otherwise learn by ear."""
    scales = facts["scales"]
    stated_for_some = (
        adapter.form == "diffusers"
        and LOADERS_CONFIG in adapter.metadata
        and not is_folded(adapter.metadata)
    )
    if stated_for_some and scales and scales != [1.0]:
        yield (
            f"the scale {_several([f'{one:.6g}' for one in scales])} is in the metadata alone: "
            "loaders that read none (ACE-Step's with older diffusers, ComfyUI) play it at 1; "
            "convert it to diffusers once more to put the scale into the weights"
        )
    if not scales:
        yield (
            "no alpha is stated: whatever it was trained at, loaders play it at scale 1 "
            "(ACE-Step's own trainer trains at alpha / sqrt(rank) with rsLoRA and stores none)"
        )
    if adapter.form == "peft" and adapter.config is None:
        yield "there is no adapter_config.json beside it: PEFT does not load it"
    if adapter.is_dora:
        yield "DoRA: ComfyUI leaves its magnitudes out or takes other norms; merge it for ComfyUI"
        if facts["change_norm"] == 0.0:
            yield "every product is zero; whether the magnitudes change anything the base decides"
    if adapter.parsed.others:
        yield f"{len(adapter.parsed.others)} tensors are no LoRA's; most loaders leave them out"


def _targets(adapter: AdapterFile, norms: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for module in sorted(adapter.parsed.parts):
        found.setdefault(ending(module), []).append(module)
    return {
        name: {
            "modules": len(modules),
            "change_norm": math.hypot(*(norms[module] for module in modules)),
        }
        for name, modules in sorted(found.items())
    }


def _change_norms(adapter: AdapterFile) -> dict[str, float]:
    """Give by module the norm of scale x B x A, without making the product."""
    tensors = adapter.tensors()
    norms = {}
    for module, parts in adapter.parsed.parts.items():
        down = tensors[parts.get(DOWN) or parts[TABLE_DOWN]].flatten(1)
        up = tensors[parts.get(UP) or parts[TABLE_UP]].flatten(1)
        norms[module] = adapter.scale_left(module) * _product_norm(up, down)
    return norms


def _product_norm(up: torch.Tensor, down: torch.Tensor) -> float:
    """Give the Frobenius norm of `up @ down`: the root of the trace of (BᵀB)(AAᵀ)."""
    rank, smallest = len(down), min(len(up), down.shape[1])
    if rank > smallest:  # no true LoRA, whose squared rank would take any amount of memory
        return float((up.double() @ down.double()).norm())
    inner = up.double().T @ up.double()
    outer = down.double() @ down.double().T
    return math.sqrt(max(0.0, float((inner * outer).sum())))


def _fit(adapter: AdapterFile, base: str) -> dict[str, Any]:
    """Hold an adapter's shapes against a base's, from the base's configuration alone."""
    family = FAMILIES["ace-step-v1"]
    outline = family.outline(base, revision="main", home=Path())
    weights = [
        weight
        for part in (*outline.graphs.values(), *outline.left_out.values())
        for weight in part
        if weight.name.endswith(".weight") and len(weight.shape) > 1
    ]
    shapes: dict[str, Shape] = {
        weight.name.removesuffix(".weight"): (weight.shape[0], math.prod(weight.shape[1:]))
        for weight in weights
    }
    if adapter.parsed.is_underscored:
        shapes = {name.replace(".", "_"): shape for name, shape in shapes.items()}
    given = {module: adapter.shape(module) for module in adapter.parsed.parts}
    known = {module: shapes[module] for module in given if module in shapes}
    misfit = describe_misfit(known, given)
    notes = []
    if misfit is None and adapter.base is not None and adapter.base.partition("@")[0] != base:
        notes.append(f"the shapes fit, but it says it is for {adapter.base}")
    return {"base": base, "fits": misfit is None, "misfit": misfit, "notes": notes}


def _several(values: Sequence[Any]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONG else f"{line[:_LONG]}... ({len(text)} characters)"
