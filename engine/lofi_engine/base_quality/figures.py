"""The figures of a base, by name and in the order they are measured. Importing this is light."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    from lofi_engine.base_quality.bench import Bench
    from lofi_engine.base_quality.results import Result

FIGURES = {
    "reconstruction": "Encode and decode",
    "distance": "Distance to held-out tracks",
    "tempo": "Tempo",
    "classifiers": "What prompts steer",
    "vocals": "Vocals",
    "clean": "Faults",
}
"""What a figure is called above its rows."""
_MODULES = {"tempo": "tempos"}
VERSIONS = dict.fromkeys(FIGURES, 1)
"""Raised when a figure measures something else: what was measured before is then measured anew."""


def choose(names: str) -> tuple[str, ...]:
    """Read a list of figures, "distance,tempo"; "" takes all.

    Raises:
        StageError: there is no such figure; names the nearest and all there are.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1)
            meant = f"did you mean '{near[0]}'? " if near else ""
            raise StageError(
                f"there is no figure '{name[:80]}'", hint=f"{meant}there are {', '.join(FIGURES)}"
            )
    return tuple(name for name in FIGURES if name in wanted) or tuple(FIGURES)


def measure_figure(name: str, bench: Bench) -> Result:
    """Measure one figure.

    Raises:
        LofiError: as the figure's module says.
    """
    module: Any = import_module(f"lofi_engine.base_quality.{_MODULES.get(name, name)}")
    result: Result = module.measure(bench)
    return result
