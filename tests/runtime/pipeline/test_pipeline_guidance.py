from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lofi_runtime.pipeline.guidance import Apg, double_condition, make_guidance

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "guidance.safetensors")
COND, UNCOND = GOLDEN["cond"], GOLDEN["uncond"]
F = np.float32


def assert_same(found, key):
    expected = GOLDEN[key]
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-5 * max(expected.std(), 1e-9)


def test_apg_with_momentum_equals_the_reference_over_three_steps():
    guide = make_guidance("apg")
    assert_same(guide(COND, UNCOND, 15.0, 0), "apg.step0")
    assert_same(guide(COND * F(0.7) + UNCOND * F(0.1), UNCOND * F(0.9), 15.0, 1), "apg.step1")
    assert_same(guide(COND * F(0.5), UNCOND * F(0.8) - F(0.1) * COND, 7.0, 2), "apg.step2")


def test_a_first_step_of_apg_has_no_momentum():
    assert_same(Apg()(COND, UNCOND, 7.0, 0), "apg.no_momentum")


def test_cfg_equals_the_reference():
    assert_same(make_guidance("cfg")(COND, UNCOND, 7.0, 3), "cfg")


def test_cfg_zero_star_is_zero_in_its_first_two_steps_and_then_equals_the_reference():
    guide = make_guidance("cfg_star")
    assert_same(guide(COND, UNCOND, 7.0, 0), "cfg_star.i0")
    assert not guide(COND, UNCOND, 7.0, 1).any()
    assert guide(COND, UNCOND, 7.0, 2).any()
    assert_same(guide(COND, UNCOND, 7.0, 5), "cfg_star.i5")


def test_double_condition_equals_the_reference():
    assert_same(double_condition(COND, UNCOND, GOLDEN["text_only"], 5.0, 1.5), "double")


@pytest.mark.parametrize("name", ["apg", "cfg"])
def test_equal_predictions_and_a_scale_of_one_change_nothing(name):
    np.testing.assert_array_equal(make_guidance(name)(COND, COND, 15.0, 0), COND)
    np.testing.assert_allclose(make_guidance(name)(COND, UNCOND, 1.0, 0), COND, atol=1e-6)


def test_an_unknown_guidance_is_refused():
    with pytest.raises(ValueError, match="guidance is 'pag', must be one of apg, cfg, cfg_star"):
        make_guidance("pag")
