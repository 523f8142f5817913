"""What each variant costs a base that has learned something: random weights cannot rank them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lofi_engine.measuring.distance import latent_distance
from lofi_engine.measuring.render import QUALITY_THREADS, Probe, final_latents, open_unpublished
from lofi_engine.recipe.model import Variant
from lofi_engine.stages import quantize
from lofi_engine.styles.source import StylesSource
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION
from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import load_styles
from tests.support.exported_nano import exported_nano
from tests.support.exported_tiny import make_context, temporary_folder

pytestmark = pytest.mark.pipeline

AUDIO = ("dcae_decoder", "vocoder")
VARIANTS = {
    "fp16": Variant("fp16", "auto", 32, None, AUDIO),
    "int8": Variant("int8", "auto", 32, None, AUDIO),
    "int4": Variant("int4", "gptq", 32, None, AUDIO),
    "rounded": Variant("int4", "rtn", 32, None, AUDIO),
}
CALIBRATING = quantize.Calibrating(8, 5, StylesSource(None, ""), PIPELINE_VERSION)
SEEDS, STEPS, DURATION_SEC = 6, 8, 5


@pytest.fixture(scope="module")
def made():
    """The variants' folder, their records, and their mean distance at the final latents."""
    exported, work = exported_nano(), temporary_folder("variants-of-nano")
    context = make_context("quantize", work, {"export": exported}, [])
    quantize.run(context, quantize.Settings(VARIANTS, CALIBRATING))
    plain = json.loads((work / "int4" / "record.json").read_text())
    mixed = Variant("int4", "gptq", 64, plain["total_bytes"], AUDIO)
    quantize.run(context, quantize.Settings({"mixed": mixed}, CALIBRATING))
    names = (*VARIANTS, "mixed")
    records = {name: json.loads((work / name / "record.json").read_text()) for name in names}
    reference = _latents(exported, exported)
    distances = {
        name: np.mean(
            [
                latent_distance(*pair)
                for pair in zip(_latents(exported, work / name), reference, strict=True)
            ]
        )
        for name in names
    }
    return records, distances


def _latents(exported: Path, folder: Path):
    pipeline = json.loads((exported / "model.json").read_text())["pipeline"]
    styles = list(load_styles().values())[::6]
    probes = [
        Probe(expand_style(styles[seed % len(styles)], 900 + seed), 900 + seed)
        for seed in range(SEEDS)
    ]
    backend = open_unpublished(folder, pipeline, QUALITY_THREADS)
    return final_latents(backend, probes, steps=STEPS, duration_sec=DURATION_SEC)


def test_fewer_bits_are_further_from_float32_and_smaller(made):
    records, distances = made
    ladder = ["fp16", "int8", "int4"]
    assert distances["fp16"] < 0.002
    assert sorted(distances[name] for name in ladder) == [distances[name] for name in ladder]
    sizes = [records[name]["total_bytes"] for name in ladder]
    assert sizes == sorted(sizes, reverse=True)


def test_calibrated_rounding_is_nearer_than_plain_rounding_at_the_same_bytes(made):
    records, distances = made
    assert records["int4"]["widths"] == records["rounded"]["widths"]
    # 0.223 against 0.256 were measured; int8 is at 0.162: most of it is activations in 8 bits,
    # which all of them have.
    assert distances["int4"] < 0.93 * distances["rounded"], distances


def test_a_budget_that_lifts_what_errs_most_beats_equal_bytes_of_4_bits_everywhere(made):
    records, distances = made
    plain, mixed = records["int4"], records["mixed"]
    assert 0.99 * plain["total_bytes"] < mixed["total_bytes"] <= plain["total_bytes"]
    assert mixed["moved_by_budget"]["transformer_decoder"]
    told = mixed["allocation"]
    assert told["error"] < 2 * told["predicted_error"]
    # 0.214 against 0.224 here; bench_ladder.py has it over 50 seeds.
    assert distances["mixed"] < 0.98 * distances["int4"], distances
