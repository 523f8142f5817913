from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.pipeline.noise import starting_noise

MASK = 2**64 - 1


def philox4x64(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 as its paper defines it, in plain integers."""
    for _ in range(10):
        first = 0xD2E7470EE14C6C93 * counter[0]
        second = 0xCA5A826395121157 * counter[2]
        counter = [
            (second >> 64) ^ counter[1] ^ key[0],
            second & MASK,
            (first >> 64) ^ counter[3] ^ key[1],
            first & MASK,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) & MASK, (key[1] + 0xBB67AE8584CAA73B) & MASK]
    return counter


def test_the_noise_is_what_its_docstring_says():
    seed, stream = 2**53 - 1, 3
    words = [
        word for block in range(5) for word in philox4x64([block + 1, 0, 0, 0], [seed, stream])
    ]
    u = np.array([((word >> 11) + 1) / 2**53 for word in words[0::2]])
    v = np.array([(word >> 11) / 2**53 for word in words[1::2]])
    radius = np.sqrt(-2 * np.log(u))
    expected = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], 1).ravel()
    found = starting_noise(seed, (1, 1, 4, 5), stream=stream)
    np.testing.assert_allclose(found.ravel(), expected, rtol=3e-7, atol=1e-7)


def test_the_same_seed_gives_the_same_bits_on_every_machine():
    found = starting_noise(42, (2, 3))
    expected = [0x3E702DDB, 0x3F15949A, 0xBED71F0E, 0x3EA7C5EB, 0xBFA5D2F6, 0x3F10E397]
    assert found.dtype == np.float32
    assert [hex(bits) for bits in found.view(np.uint32).ravel()] == [hex(b) for b in expected]


def test_the_noise_is_standard_normal():
    noise = starting_noise(7, (1, 8, 16, 2584)).astype(np.float64)
    assert abs(noise.mean()) < 0.005
    assert abs(noise.std() - 1) < 0.005
    assert abs(np.mean(noise**4) - 3) < 0.06
    assert np.abs(noise).max() > 4


def test_a_longer_draw_begins_with_the_shorter_one():
    np.testing.assert_array_equal(starting_noise(5, (7,)), starting_noise(5, (40,))[:7])


def test_seeds_and_streams_give_independent_noise():
    draws = [
        starting_noise(seed, (20_000,), stream=stream)
        for seed, stream in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.03


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed is {seed}, must be from 0"):
        starting_noise(seed, (1,))
