"""The parity fixtures of `tests/golden`, and the tolerance they state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

FOLDER = Path(__file__).parents[1] / "golden"


def notes(name: str) -> dict[str, Any]:
    """Read a fixture's configuration, keys and constants."""
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return read


def tensors(name: str) -> dict[str, torch.Tensor]:
    """Read a fixture's tensors."""
    return load_file(FOLDER / f"{name}.safetensors")


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Give the largest absolute difference over the expected standard deviation."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.std())


def shapes(module: torch.nn.Module) -> dict[str, list[int]]:
    """Give a module's state-dict keys and shapes."""
    return {key: list(value.shape) for key, value in module.state_dict().items()}
