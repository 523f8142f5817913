"""Recipes for tests: a small valid one, changed where a test wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Recipe

SMALL: dict[str, Any] = {
    "version": 1,
    "name": "small",
    "release": "0.1.0",
    "base": {"family": "ace-step-v1", "model": "builtin:tiny"},
    "dataset": {
        "sources": [{"synth": {"tracks": 4, "duration_sec": 6}}],
        "licenses": {"allow": ["cc0"]},
        "quality": {"min_duration_sec": 4, "max_duration_sec": 30},
        "holdout_share": 0.25,
    },
    "lora": {"r": 4, "alpha": 8, "rslora": True, "targets": ["to_q", "to_k", "to_v"]},
    "training": {
        "steps": 6,
        "batch_size": 1,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "precision": "fp32",
        "window_sec": 2,
        "checkpoint_every": 2,
        "sample_every": 6,
    },
    "variants": {
        "fp16": {"weights": "fp16"},
        "int8": {"weights": "int8"},
        "int4": {"weights": "int4", "method": "rtn"},
    },
    "measure": {"seeds": 1, "steps": 2, "duration_sec": 5},
    "publish": {"to": "published", "license": "apache-2.0"},
}


def write_recipe(folder: Path, name: str = "recipe.yaml", **changes: Any) -> Path:
    """Write the small recipe with top-level blocks merged one level deep; give its path."""
    content = {key: dict(part) if isinstance(part, dict) else part for key, part in SMALL.items()}
    for key, part in changes.items():
        if isinstance(part, dict) and isinstance(content.get(key), dict) and key != "variants":
            content[key] = {**content[key], **part}
        else:
            content[key] = part
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def make_recipe(folder: Path, **changes: Any) -> Recipe:
    """Write the small recipe, changed, and load it."""
    return load_recipe(write_recipe(folder, **changes))
