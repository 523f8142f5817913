"""The procedural lofi synthesiser: words in, 48 kHz stereo out, no model at all.

    score = compose("rainy night, rhodes, 70 bpm, a minor", seed=7, duration_sec=30)
    samples = render(score)     # float32 (2, 1440000)
    describe(score)["prompt"]   # the tags that are true of this sound

Limits: 5 to 600 s are meant; shorter and longer work. Importing this package costs nothing: scipy
is loaded by `render`, never by `compose` or `describe`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

VERSION: int = 4
"""Raise it when the same request would sound or be described differently: what was made before is
then made anew."""

if TYPE_CHECKING:
    from lofi_runtime.synth.backend import ProceduralBackend
    from lofi_runtime.synth.composition import compose
    from lofi_runtime.synth.description import describe
    from lofi_runtime.synth.rendering import render
    from lofi_runtime.synth.score import Key, Note, Score, Section, Sound

_HOMES = {
    "ProceduralBackend": "backend",
    "compose": "composition",
    "describe": "description",
    "render": "rendering",
    "Key": "score",
    "Note": "score",
    "Score": "score",
    "Section": "score",
    "Sound": "score",
}

__all__ = [
    "VERSION",
    "Key",
    "Note",
    "ProceduralBackend",
    "Score",
    "Section",
    "Sound",
    "compose",
    "describe",
    "render",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
