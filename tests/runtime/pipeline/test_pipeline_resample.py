from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.pipeline.resample import resample


@pytest.mark.parametrize("from_rate", [22_050, 44_100, 96_000])
def test_a_tone_keeps_pitch_level_and_place(from_rate):
    wave = np.sin(2 * np.pi * 1_000 * np.arange(from_rate) / from_rate).astype(np.float32)
    out = resample(np.stack([wave, -wave]), from_rate, 48_000)
    assert (out.shape, out.dtype) == ((2, 48_000), np.float32)
    assert out.flags.c_contiguous
    wanted = np.sin(2 * np.pi * 1_000 * np.arange(48_000) / 48_000)
    np.testing.assert_allclose(out[0, 1_000:-1_000], wanted[1_000:-1_000], atol=1e-3)
    np.testing.assert_array_equal(out[1], -out[0])


def test_equal_rates_change_nothing():
    samples = np.ones((1, 10), np.float32)
    assert resample(samples, 48_000, 48_000) is samples
