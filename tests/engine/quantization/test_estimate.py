"""A variant's size worked out beforehand, against what the quantizers really write."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from lofi_engine.models.ace_step_v1.configurations import builtin_configs
from lofi_engine.models.ace_step_v1.parameters import outline
from lofi_engine.models.ace_step_v1.published import PUBLISHED
from lofi_engine.quantization.coverage import measure_coverage
from lofi_engine.quantization.estimate import estimate_variant
from lofi_engine.quantization.methods import NOMINAL_BITS
from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.rules import component_bits, plan_forms
from lofi_engine.quantization.weights import find_weights
from lofi_engine.recipe.model import Variant
from tests.support.exported_tiny import exported_tiny

AUDIO = ("dcae_decoder", "vocoder")
FULL = outline(PUBLISHED, "published").graphs
TINY = outline(builtin_configs(), "tiny").graphs


def variant(weights, *, method="auto", block_size=32, max_bytes=None, keep_fp16=AUDIO):
    return Variant(weights, method, block_size, max_bytes, keep_fp16)


def written(asked, folder):
    """Store every graph of the tiny bundle as asked; give numbers by width and bytes."""
    import onnx_ir as ir

    source, _, _ = exported_tiny()
    widths, sizes = {}, {}
    for component in TINY:
        file = f"{component}.onnx"
        matrices = component_bits(component, asked) < 16
        weights = find_weights(load_graph(source / file, matrices=matrices).graph)
        forms = plan_forms(component, weights, asked)
        rewrite_graph(source / file, folder / file, forms, matrices=matrices)
        widths[component] = measure_coverage(folder / file, NOMINAL_BITS[asked.weights]).widths
        sizes[component] = sum(
            math.ceil(math.prod(value.const_value.shape) * value.const_value.dtype.bitwidth / 8)
            for value in ir.load(folder / file).graph.initializers.values()
        )
    return widths, sizes


@pytest.mark.parametrize(
    "asked",
    [
        variant("fp16"),
        variant("int8"),
        variant("int8", method="weight-only", block_size=16),
        variant("int4", block_size=64),
        variant("int4", keep_fp16=(*AUDIO, "text_encoder")),
    ],
    ids=["fp16", "int8", "int8 in blocks", "int4", "int4 without the text encoder"],
)
def test_the_numbers_in_each_width_are_those_the_quantizers_write(asked, tmp_path):
    estimate = estimate_variant(asked, TINY)
    widths, sizes = written(asked, tmp_path)
    for component in TINY:
        found, expected = estimate.widths[component], widths[component]
        assert {bits: found.get(bits, 0) for bits in (4, 8, 16)} == {
            bits: expected.get(bits, 0) for bits in (4, 8, 16)
        }, component
        # Vectors stay float32; the exporter merges those that are equal, in an untrained base
        # every bias.
        merged = 4 * sum(w.elements for w in TINY[component] if len(w.shape) == 1)
        difference = estimate.component_bytes[component] - sizes[component]
        assert -2000 <= difference <= merged, component


def test_the_published_base_comes_to_what_was_measured():
    fp16 = estimate_variant(variant("fp16"), FULL)
    assert fp16.total_bytes == pytest.approx(6.11e9, rel=0.002)
    int8 = estimate_variant(variant("int8"), FULL)
    assert int8.total_bytes == pytest.approx(3.27e9, rel=0.002)
    assert int8.component_bytes["dcae_decoder"] == pytest.approx(2 * 79.1e6, rel=0.01)
    assert sum(int8.component_bytes.values()) == int8.total_bytes


def test_a_component_kept_in_float16_is_counted_so():
    asked = variant("int4", keep_fp16=(*AUDIO, "transformer_encoder"))
    estimate = estimate_variant(asked, FULL)
    widths = estimate.widths["transformer_encoder"]
    assert set(widths) == {16, 32}
    assert sum(widths.values()) == 95_694_336


def test_a_budget_lowers_an_int8_variant_to_its_bytes_and_no_further():
    plain = estimate_variant(variant("int8"), FULL)
    assert set(plain.widths["transformer_decoder"]) == {8, 16, 32}
    asked = variant("int8", max_bytes=2_500_000_000)
    fitted = estimate_variant(asked, FULL)
    assert 2_480_000_000 < fitted.total_bytes <= 2_500_000_000
    assert 4 in fitted.widths["transformer_decoder"]
    assert 4 not in fitted.widths["transformer_encoder"]
    assert estimate_variant(replace(asked, max_bytes=4_000_000_000), FULL) == plain


def test_an_int4_variant_with_bytes_to_spare_is_lifted():
    plain = estimate_variant(variant("int4", block_size=128), FULL)
    asked = variant("int4", block_size=128, max_bytes=plain.total_bytes + 50_000_000)
    lifted = estimate_variant(asked, FULL)
    assert plain.total_bytes < lifted.total_bytes <= plain.total_bytes + 50_000_000
    everything = estimate_variant(replace(asked, max_bytes=10**10), FULL)
    assert everything.widths["transformer_decoder"].keys() == {8, 16, 32}


def test_a_budget_no_width_reaches_gives_the_least_there_is():
    least = estimate_variant(variant("int8", max_bytes=1), FULL)
    assert least.total_bytes > 1
    assert least == estimate_variant(variant("int8", max_bytes=2), FULL)
    assert estimate_variant(variant("fp16", max_bytes=1), FULL).total_bytes > 6e9


def test_the_estimate_reads_no_file(tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        raise AssertionError(f"{self} was opened")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    assert estimate_variant(variant("int4"), TINY).total_bytes > 0
