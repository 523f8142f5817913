"""The built-in tiny base, exported once a test run by the export stage itself."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from lofi_engine.events import Event
from lofi_engine.models.registry import FAMILIES
from lofi_engine.recipe.model import Base
from lofi_engine.stages import export
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.tensors import save_tensors
from tests.support.shared_work import once

TINY = Base("ace-step-v1", "builtin:tiny", "main", None)

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def make_context(
    stage: str, work: Path, inputs: dict[str, Path], events: list[Event]
) -> StageContext:
    """A stage's context as the runner makes it; events are collected."""
    work.mkdir(parents=True, exist_ok=True)
    return StageContext(stage, work, work / "progress", inputs, work, 1, events.append)


@functools.cache
def temporary_folder(name: str) -> Path:
    """A folder of the test run, removed at its end."""
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix=f"{name}-"))
    return Path(_FOLDERS[-1].name)


@functools.cache
def merged_tiny() -> Path:
    """What a merge stage leaves: the tiny base's transformer, each weight moved by a little."""
    return once("merged-tiny", _merge)


def _merge(folder: Path) -> Path:
    (folder / "transformer").mkdir()
    base = FAMILIES[TINY.family].load(
        TINY.model, revision=TINY.revision, lyric_vocabulary=None, home=folder
    )
    state = {name: tensor * 1.01 for name, tensor in base.transformer.state_dict().items()}
    save_tensors(folder / "transformer" / "diffusion_pytorch_model.safetensors", state)
    return folder


@functools.cache
def exported_tiny() -> tuple[Path, Outcome, tuple[Event, ...]]:
    """The export stage's folder (read-only, please), outcome and events."""
    return once("exported-tiny", _export)


def _export(folder: Path) -> tuple[Path, Outcome, tuple[Event, ...]]:
    events: list[Event] = []
    context = make_context("export", folder, {"merge": merged_tiny()}, events)
    return folder, export.run(context, export.Settings(TINY, export.OPSET)), tuple(events)
