"""From a recipe to ordered stages with content keys. Pure: no torch, no network.

The disk is seen only through the `fingerprint` it is given. This is the only place that knows the
order of the stages and what each one reads.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.hashing import KEY_LENGTH, hash_value
from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import Stage

PIPELINE: Mapping[str, tuple[str, ...]] = {
    "curate": (),
    "describe": ("curate",),
    "split": ("curate", "describe"),
    "encode": ("curate", "describe", "split"),
    "train": ("split", "encode"),
    "select": ("curate", "describe", "encode", "train"),
    "merge": ("select",),
    "export": ("merge",),
    "quantize": ("export",),
    "measure": ("curate", "split", "export", "quantize"),
    "publish": ("curate", "select", "export", "quantize", "measure"),
}
"""The stages in order, each with the stages whose folders it reads."""

Fingerprint = Callable[[Path], str]
"""Gives the hash of a file's or folder's content, or "missing"."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a run, with everything its result depends on.

    Args:
        name: the stage's name.
        key: the hash of all that follows.
        version: the stage's code version.
        settings: its settings as JSON values.
        settings_value: the same as the stage's own frozen type.
        inputs: the keys of the stages it reads, by name.
        sources: the fingerprints of the files it reads, by path relative to the recipe.
        seed: the recipe's seed mixed with the stage's name.
    """

    name: str
    key: str
    version: int
    settings: Mapping[str, Any]
    settings_value: Any
    inputs: Mapping[str, str]
    sources: Mapping[str, str]
    seed: int

    def identity(self) -> dict[str, Any]:
        """Give what the key is a hash of, as JSON values."""
        return {
            "stage": self.name,
            "version": self.version,
            "settings": dict(self.settings),
            "inputs": dict(self.inputs),
            "sources": dict(self.sources),
            "seed": self.seed,
        }


def plan(
    recipe: Recipe,
    stages: Mapping[str, Stage],
    fingerprint: Fingerprint,
    pipeline: Mapping[str, tuple[str, ...]] = PIPELINE,
) -> tuple[PlannedStage, ...]:
    """Order the recipe's stages and give each its key.

    Args:
        recipe: what to make.
        stages: the stage modules, by name.
        fingerprint: sees the disk.
        pipeline: stage names in order, with their inputs; each input comes before its reader.

    Returns:
        The stages in order. Equal recipes and files give equal keys on every machine.
    """
    planned: dict[str, PlannedStage] = {}
    for name, input_names in pipeline.items():
        stage = stages[name]
        value = stage.settings(recipe)
        unkeyed = PlannedStage(
            name=name,
            key="",
            version=stage.VERSION,
            settings=_as_json(value),
            settings_value=value,
            inputs={other: planned[other].key for other in input_names},
            sources={
                _relative(path, recipe.home): fingerprint(path) for path in stage.sources(recipe)
            },
            seed=stage_seed(recipe.seed, name),
        )
        key = hash_value(unkeyed.identity())[:KEY_LENGTH]
        planned[name] = dataclasses.replace(unkeyed, key=key)
    return tuple(planned.values())


def stage_seed(seed: int, name: str) -> int:
    """Mix the recipe's seed with a stage's name, below 2**63, so that no two stages share draws."""
    return int(hash_value([seed, name])[:16], 16) >> 1


def _as_json(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    raise TypeError(f"a stage's settings must be a dataclass, not {type(value).__name__}")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _as_json(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_plain(part) for part in value]
        return sorted(parts) if isinstance(value, set | frozenset) else parts
    return value


def _relative(path: Path, home: Path) -> str:
    # Where the recipe lies must not shape its keys: a clone elsewhere has the same ones.
    return Path(os.path.relpath(path, home)).as_posix()
