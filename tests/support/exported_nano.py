"""The embedded base that has learned something, exported once a test run by the export stage."""

from __future__ import annotations

import functools
from pathlib import Path

from lofi_engine.models.ace_step_v1.builtin import NANO
from lofi_engine.models.registry import FAMILIES
from lofi_engine.recipe.model import Base
from lofi_engine.stages import export
from lofi_engine.tensors import save_tensors
from tests.support.exported_tiny import make_context
from tests.support.shared_work import once

REFERENCE = Base("ace-step-v1", NANO, "main", None)


@functools.cache
def exported_nano() -> Path:
    """The export stage's folder (read-only, please)."""
    return once("exported-nano", _export)


def _export(folder: Path) -> Path:
    base = FAMILIES[REFERENCE.family].load(
        NANO, revision=REFERENCE.revision, lyric_vocabulary=None, home=folder
    )
    merged = folder / "merged"
    (merged / export.MERGED).parent.mkdir(parents=True)
    save_tensors(merged / export.MERGED, base.transformer.state_dict())
    context = make_context("export", folder / "export", {"merge": merged}, [])
    export.run(context, export.Settings(REFERENCE, export.OPSET))
    return folder / "export"
