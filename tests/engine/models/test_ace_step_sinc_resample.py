"""The resampler before the DCAE is the windowed sinc that its training used."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.models.ace_step_v1.sinc_resample import resample_as_trained

RATES = [(48_000, 44_100), (22_050, 44_100), (96_000, 44_100), (32_000, 44_100), (44_100, 48_000)]


def windowed_sinc(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """The definition, sample by sample: six zeros of a sinc on either side under a Hann window."""
    cutoff, width = min(from_rate, to_rate) * 0.99, 6
    reach = int(np.ceil(width * from_rate / cutoff)) + 1
    centre = np.arange(int(np.ceil(samples.shape[1] * to_rate / from_rate))) * from_rate / to_rate
    taps = np.floor(centre).astype(int)[:, None] + np.arange(-reach, reach + 2)
    phase = np.clip((taps - centre[:, None]) / from_rate * cutoff, -width, width)
    kernel = np.sinc(phase) * np.cos(np.pi * phase / width / 2) ** 2 * cutoff / from_rate
    padded = np.pad(samples.astype(np.float64), ((0, 0), (reach + 1, reach + 3)))
    return np.einsum("cnk,nk->cn", padded[:, taps + reach + 1], kernel)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_it_is_the_windowed_sinc_at_any_two_rates(from_rate, to_rate):
    noise = np.random.default_rng(3).standard_normal((2, 3001)).astype(np.float32)
    found, expected = (
        way(noise, from_rate, to_rate) for way in (resample_as_trained, windowed_sinc)
    )
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("samples", [1, 2, 159, 161])
def test_the_last_sample_begun_counts(samples):
    found = resample_as_trained(np.ones((2, samples), np.float32), 48_000, 44_100)
    assert found.shape == (2, -(-samples * 147 // 160))


def test_equal_rates_change_nothing():
    noise = np.random.default_rng(4).standard_normal((2, 100)).astype(np.float32)
    assert resample_as_trained(noise, 44_100, 44_100) is noise


def test_a_tone_within_hearing_keeps_its_level():
    tone = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000, dtype=np.float32)[None]
    inside = resample_as_trained(tone, 48_000, 44_100)[:, 100:-100]
    assert np.sqrt(2 * np.square(inside).mean()) == pytest.approx(1.0, abs=2e-3)
