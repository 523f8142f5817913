"""A disk that fills while variants are made: nothing looks like a variant, and it goes on later."""

from __future__ import annotations

import shutil

import pytest

from lofi_engine.errors import StageError
from lofi_engine.events import ignore
from lofi_engine.recipe.model import Variant
from lofi_engine.run import telling_full_disks
from lofi_engine.stages import quantize
from lofi_engine.stages.base import StageContext
from lofi_engine.styles.source import StylesSource
from tests.support.exported_tiny import exported_tiny
from tests.support.small_disk import mounted_disk, remount

CALIBRATING = quantize.Calibrating(2, 5, StylesSource(None, ""), 1)
VARIANTS = {"int4": Variant("int4", "gptq", 64, None, ("dcae_decoder", "vocoder"))}
RENDERING, HEARING, STORING = "128k", "1500k", "4m"
"""Where the disk fills: while prompts are rendered, activations are kept, graphs are written."""


def _quantize(place):
    """One try, as the runner makes it: its folder goes where it fails, what it learned stays."""
    work = place / ".making-quantize"
    work.mkdir()
    inputs = {"export": exported_tiny()[0]}
    context = StageContext("quantize", work, place / "progress", inputs, work, 1, ignore)
    try:
        with telling_full_disks("quantize", place):
            return quantize.run(context, quantize.Settings(VARIANTS, CALIBRATING))
    finally:
        shutil.rmtree(work)


def _kept(place, kind):
    return [path for path in place.glob(f"progress/{kind}/**/*") if path.stat().st_size]


def test_a_disk_that_fills_leaves_no_variant_and_what_was_learned_is_kept(tmp_path):
    with mounted_disk(tmp_path / "disk", RENDERING) as place:
        found = {}
        for size in (RENDERING, HEARING, STORING):
            remount(place, f"size={size}")
            with pytest.raises(StageError, match=r"^quantize: the disk is full: .*/disk"):
                _quantize(place)
            found[size] = [len(_kept(place, kind)) for kind in ("samples", "grams")]
        print(found)
        assert not list(place.rglob("*.onnx"))
        assert not list(place.rglob("record.json"))
        remount(place, "size=100m")
        assert _quantize(place).facts["total_bytes"]["int4"] > 1_000_000
