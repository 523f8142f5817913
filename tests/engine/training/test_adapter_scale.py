from __future__ import annotations

import math

import pytest
import torch

from lofi_engine.training.adapter_scale import bytes_of_bits, fold, unfold

SCALES = [1.0, 2.0, 0.125, math.sqrt(2), 3.25, 1 / 3, 16 / math.sqrt(128), 6.153846153846154, 1e-3]


def bits(tensor):
    return tensor.contiguous().view(torch.int32 if tensor.element_size() == 4 else torch.int16)


def random(dtype, count=4001):
    draws = torch.randn(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exponents = torch.randint(-20, 3, (count,), generator=torch.Generator().manual_seed(2))
    return (draws * 2.0**exponents).to(dtype)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_scale_comes_out_again_without_a_changed_bit(scale, dtype):
    weights = random(dtype)
    product, kept = fold(weights, scale)
    found = unfold(product, scale, dtype, kept)
    assert found.dtype == dtype
    assert torch.equal(bits(found), bits(weights))
    torch.testing.assert_close(product.double(), weights.double() * scale, rtol=1e-6, atol=1e-9)


def test_a_power_of_two_costs_nothing_and_another_scale_a_bit_a_weight():
    weights = random(torch.float32)
    assert fold(weights, 2.0)[1] is None
    product, kept = fold(weights, math.sqrt(2))
    assert product.dtype == torch.float32
    assert kept.dtype == torch.uint8
    assert kept.numel() == bytes_of_bits(weights) == 501


def test_without_the_bits_neighbours_would_be_one():
    weights = random(torch.float32)
    product, _kept = fold(weights, math.sqrt(2))
    lost = unfold(product, math.sqrt(2), torch.float32)
    changed = float((bits(lost) != bits(weights)).float().mean())
    assert 0.02 < changed < 0.5


def test_zeros_keep_their_sign_and_the_smallest_weights_are_kept_in_float64():
    weights = torch.tensor([0.0, -0.0, 1e-45, -3e-44, 1.0])
    product, kept = fold(weights, 0.1)
    assert product.dtype == torch.float64
    assert torch.equal(bits(unfold(product, 0.1, torch.float32, kept)), bits(weights))


def test_half_precision_that_the_scale_would_overflow_becomes_float32():
    weights = torch.tensor([60000.0, 1.0]).half()
    product, kept = fold(weights, 4.0)
    assert (product.dtype, kept) == (torch.float32, None)
    assert product.tolist() == [240000.0, 4.0]
    assert torch.equal(unfold(product, 4.0, torch.float16), weights)
