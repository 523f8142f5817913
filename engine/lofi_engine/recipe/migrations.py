"""The steps from each format of the recipe to the next, as edits of the text.

A change of format adds a function to `MIGRATIONS`. Each takes a document and answers with edits of
single spans, so that comments, order and layout stay as they are byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.document import Document
from lofi_engine.recipe.nodes import Entry, MappingNode, ScalarNode
from lofi_engine.recipe.problems import Path


@dataclass(frozen=True, order=True)
class Edit:
    """Put `text` in place of the characters from `start` to `end`; `change` says it to a human."""

    start: int
    end: int
    text: str
    change: str


_RENAMED_0: Mapping[tuple[str, ...], str] = {
    ("tiers",): "variants",
    ("lora", "rank"): "r",
    ("lora", "lora_alpha"): "alpha",
    ("lora", "use_rslora"): "rslora",
    ("lora", "target_modules"): "targets",
    ("training", "max_steps"): "steps",
    ("training", "lr"): "learning_rate",
    ("training", "gradient_clip_val"): "clip_grad_norm",
    ("training", "every_n_train_steps"): "checkpoint_every",
    ("training", "every_plot_step"): "sample_every",
    ("tiers", "*", "dtype"): "weights",
    ("tiers", "*", "calibration_method"): "method",
}
"""Keys of format 0 that have another name in format 1; `*` is any key."""

_RESTATED_0: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("training", "precision"): {
        "bf16-mixed": "bf16",
        "bf16-true": "bf16",
        "32": "fp32",
        "32-true": "fp32",
    },
    ("tiers", "*", "calibration_method"): {"awq_lite": "awq", "k_quant": "k-quant"},
}
"""Values of format 0 that are written otherwise in format 1."""

_FLOW_SIGNS = frozenset(",[]{}")
_Found = TypeVar("_Found")


def renamed_to(path: Path) -> str | None:
    """Return what a key of an old format is called today, or None if it was never a key."""
    path = ("tiers", *path[1:]) if path[0] == "variants" else path
    return _lookup(_RENAMED_0, path)


def m001_from_0_to_1(document: Document) -> list[Edit]:
    """Bring the pre-release form to format 1: tiers, the trainers' own key names, a bare model."""
    edits = list(_mend(document, document.root, ()))
    if (model := document.root.entry("model")) is not None:
        _refuse_both(document, document.root, model, "base")
        edits += _model_to_base(document, model)
    edits.append(_state_version(document, 1))
    return edits


MIGRATIONS: tuple[Callable[[Document], list[Edit]], ...] = (m001_from_0_to_1,)
"""`MIGRATIONS[n]` brings format n to format n + 1."""


def _mend(document: Document, mapping: MappingNode, above: Path) -> Iterator[Edit]:
    """Yield the edits of renamed keys and restated values, all the way down."""
    for entry in mapping.entries:
        path = (*above, entry.name)
        if (new := _lookup(_RENAMED_0, path)) is not None:
            _refuse_both(document, mapping, entry, new)
            key = entry.key
            change = f"line {key.start.line}: {entry.name} is now {new}"
            yield Edit(key.start.offset, key.end.offset, _as_typed(key, new), change)
        value = entry.value
        if isinstance(value, MappingNode):
            yield from _mend(document, value, path)
        elif isinstance(value, ScalarNode) and "\n" not in value.raw:
            restated = (_lookup(_RESTATED_0, path) or {}).get(str(value.value))
            if restated is not None:
                change = f"line {value.start.line}: {value.raw} is now {restated}"
                yield Edit(value.start.offset, value.end.offset, _as_typed(value, restated), change)


def _as_typed(old: ScalarNode, new: str) -> str:
    """Write the new word in the old one's quotes: `{"rank":8}` needs them to stay YAML."""
    return new if old.plain else f"{old.raw[0]}{new}{old.raw[0]}"


def _lookup(table: Mapping[tuple[str, ...], _Found], path: Path) -> _Found | None:
    for pattern, found in table.items():
        if len(pattern) == len(path) and all(
            want in ("*", part) for want, part in zip(pattern, path, strict=True)
        ):
            return found
    return None


def _refuse_both(document: Document, mapping: MappingNode, old: Entry, new: str) -> None:
    if (other := mapping.entry(new)) is not None:
        message = (
            f"is '{old.name}' by its new name, which is on line {old.key.start.line} too; keep one"
        )
        start = other.key.start
        raise RecipeError([f"{document.file}:{start.line}:{start.column}: {new}: {message}"])


def _model_to_base(document: Document, model: Entry) -> list[Edit]:
    value = model.value
    if not isinstance(value, ScalarNode) or not isinstance(value.value, str) or "\n" in value.raw:
        message = "cannot be migrated: write the model on one line, as hf:owner/name or a folder"
        raise document.error([document.problem(("model",), message)])
    unsafe = value.plain and not _FLOW_SIGNS.isdisjoint(value.raw)
    written = json.dumps(value.value, ensure_ascii=False) if unsafe else value.raw
    key = model.key
    change = f"line {key.start.line}: model is now base, with its family"
    base = f"{{family: ace-step-v1, model: {written}}}"
    return [
        Edit(key.start.offset, key.end.offset, _as_typed(key, "base"), change),
        Edit(value.start.offset, value.end.offset, base, ""),
    ]


def _state_version(document: Document, version: int) -> Edit:
    entry = document.root.entry("version")
    if entry is not None and isinstance(entry.value, ScalarNode):
        value = entry.value
        change = f"line {value.start.line}: version is now {version}"
        return Edit(value.start.offset, value.end.offset, str(version), change)
    root = document.root
    if root.flow:
        at = root.start.offset + 1
        return Edit(
            at,
            at,
            f"version: {version}, " if root.entries else f"version: {version}",
            "version added",
        )
    at = root.start.offset
    newline = "\r\n" if "\r\n" in document.text else "\n"
    indent = " " * (root.start.column - 1)
    change = f"line {root.start.line}: version: {version} added"
    return Edit(at, at, f"version: {version}{newline}{indent}", change)
