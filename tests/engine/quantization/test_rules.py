from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.errors import StageError
from lofi_engine.quantization.forms import DYNAMIC, FP16, Form, fit_block
from lofi_engine.quantization.methods import (
    ALL_METHODS,
    ALWAYS_FP16,
    BLOCK_METHODS,
    BLOCK_SIZES,
    EIGHT_BIT_METHODS,
    FLOOR_BITS,
    METHODS_OF,
    NOMINAL_BITS,
)
from lofi_engine.quantization.rules import (
    check_variant,
    component_bits,
    plan_forms,
)
from lofi_engine.quantization.weights import Weight
from lofi_engine.recipe.model import Variant
from lofi_engine.recipe.schema import recipe_schema

COMPONENTS = (
    "text_encoder",
    "transformer_encoder",
    "transformer_decoder",
    "dcae_decoder",
    "vocoder",
)
AUDIO = ("dcae_decoder", "vocoder")
INT8 = Variant("int8", "rtn", 64, None, AUDIO)
INT4 = replace(INT8, weights="int4")
FP16_VARIANT = Variant("fp16", "rtn", 64, None, ())

WEIGHTS = (
    Weight("table", "table", 320 * 96, 32, (320, 96)),
    Weight("matrix", "matmul", 96 * 64, 32, (96, 64)),
    Weight("odd", "matmul", 100 * 64, 32, (100, 64)),
    Weight("small", "matmul", 64, 32, (8, 8)),
    Weight("conv", "other", 5000, 32, (50, 100, 1)),
)


@pytest.mark.parametrize("variant", [FP16_VARIANT, INT8, INT4])
def test_a_common_variant_is_accepted(variant):
    check_variant("name", variant, COMPONENTS)


@pytest.mark.parametrize("method", ["auto", "dynamic", "weight-only", "rtn", "hqq", "k-quant"])
def test_an_int8_variant_takes_either_8_bit_form_or_a_method_for_4_bits(method):
    check_variant("int8", replace(INT8, method=method), COMPONENTS)


def test_the_list_a_recipe_is_checked_against_is_what_can_be_built():
    assert {"auto", *EIGHT_BIT_METHODS, *BLOCK_METHODS} == set(ALL_METHODS)
    for weights, methods in METHODS_OF.items():
        for method in methods:
            check_variant("name", replace(INT8, weights=weights, method=method), COMPONENTS)


def test_the_recipes_schema_says_the_same_as_the_table():
    variant = recipe_schema()["$defs"]["variant"]["properties"]
    assert variant["weights"]["enum"] == list(NOMINAL_BITS)
    assert sorted(variant["method"]["enum"]) == sorted(ALL_METHODS)
    assert variant["block_size"]["enum"] == list(BLOCK_SIZES)
    assert variant["block_size"]["default"] in BLOCK_SIZES
    assert variant["keep_fp16"]["default"] == list(ALWAYS_FP16)
    assert variant["keep_fp16"]["items"]["enum"] == list(COMPONENTS)
    assert set(FLOOR_BITS) <= set(COMPONENTS)
    assert [name for name, bits in FLOOR_BITS.items() if bits == 16] == list(ALWAYS_FP16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"method": "olive"},
            "method 'olive' does not make int4 - use auto, rtn, hqq, k-quant, awq or gptq",
        ),
        ({"method": "dynamic"}, "'dynamic' does not make int4 - use auto, rtn, hqq, k-quant, awq"),
        ({"block_size": 48}, "block_size 48 is not 16, 32, 64, 128 or 256"),
        ({"weights": "int2"}, "weights 'int2' is not one of fp16, int8, int4"),
        ({"keep_fp16": (*AUDIO, "voice")}, "keep_fp16 names 'voice', which is no component"),
    ],
)
def test_what_cannot_be_built_is_refused_with_what_to_do(change, message):
    with pytest.raises(StageError, match=message):
        check_variant("small", replace(INT4, **change), COMPONENTS)


@pytest.mark.parametrize("variant", [INT8, INT4])
@pytest.mark.parametrize(
    ("kept", "missing", "why"),
    [
        (("vocoder",), "dcae_decoder", "mel spectrogram"),
        (("dcae_decoder",), "vocoder", "heard directly in the waveform"),
    ],
)
def test_what_makes_the_waveform_is_never_under_fp16(variant, kept, missing, why):
    message = (
        f"variant small: {missing} is never stored under fp16, because .*{why} - add {missing}"
    )
    with pytest.raises(StageError, match=message):
        check_variant("small", replace(variant, keep_fp16=kept), COMPONENTS)


def test_lyrics_and_speakers_are_never_under_8_bits():
    assert component_bits("transformer_encoder", INT4) == 8
    forms = plan_forms("transformer_encoder", WEIGHTS, INT4)
    assert {form.bits for form in forms.values()} == {8, 16}


def test_int8_is_dynamic_unless_weight_only_is_asked():
    dynamic = plan_forms("transformer_decoder", WEIGHTS, INT8)
    assert dynamic["matrix"] == dynamic["odd"] == DYNAMIC
    blocks = plan_forms("transformer_decoder", WEIGHTS, replace(INT8, method="weight-only"))
    assert blocks["matrix"] == Form("blocks", 8, 32)
    assert blocks["odd"] == FP16


def test_int4_uses_the_asked_method_and_a_block_that_divides():
    forms = plan_forms("transformer_decoder", WEIGHTS, replace(INT4, method="hqq"))
    assert forms["matrix"] == Form("blocks", 4, 32, "hqq")
    assert forms["table"] == Form("table", 4, 32)
    assert forms["odd"] == forms["small"] == forms["conv"] == FP16


def test_a_component_kept_at_fp16_is_not_quantized():
    forms = plan_forms("vocoder", WEIGHTS, INT4)
    assert set(forms.values()) == {FP16}


def test_a_block_is_the_largest_that_divides():
    assert [fit_block(size, 64) for size in (128, 96, 48, 40, 8)] == [64, 32, 16, None, None]
