from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.convert import least_format, to_format


def test_the_least_format_has_the_lowest_rate_and_the_fewest_channels():
    formats = [SoundFormat(48_000, 1), SoundFormat(44_100, 2)]
    assert least_format(formats) == SoundFormat(44_100, 1)


def test_a_tone_stays_a_tone_at_the_lower_rate():
    seconds = np.arange(48_000) / 48_000
    wave = np.sin(2 * np.pi * 440 * seconds).astype(np.float32)
    found = to_format(np.stack([wave, wave]), 48_000, SoundFormat(24_000, 2))
    assert found.shape == (2, 24_000)
    np.testing.assert_allclose(found[:, 1_000:-1_000], np.stack([wave[::2]] * 2)[:, 1_000:-1_000],
                               atol=1e-3)  # fmt: skip


def test_two_channels_become_their_mean():
    samples = np.array([[1.0, 0.5], [0.0, -0.5]], np.float32)
    found = to_format(samples, 48_000, SoundFormat(48_000, 1))
    np.testing.assert_array_equal(found, [[0.5, 0.0]])


def test_nothing_is_done_where_nothing_is_to_be_done():
    samples = np.ones((2, 10), np.float32)
    assert to_format(samples, 48_000, SoundFormat(48_000, 2)) is samples


def test_no_channel_is_made_up():
    with pytest.raises(ValueError, match="cannot become 2"):
        to_format(np.ones((1, 10), np.float32), 48_000, SoundFormat(48_000, 2))
