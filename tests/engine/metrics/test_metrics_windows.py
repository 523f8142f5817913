from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.windows import cut_windows
from tests.support.metric_clips import RATE, LinearEmbedding, noise_clip


def ramp(duration_sec, channels=1, rate=RATE):
    samples = np.arange(round(duration_sec * rate), dtype=np.float32) / rate
    return Clip("rain", np.stack([samples * (at + 1) for at in range(channels)]), rate)


def test_windows_start_a_hop_apart_and_the_last_partial_one_is_dropped():
    windows = cut_windows(ramp(2.9), LinearEmbedding(window_sec=1.0, hop_sec=0.5))
    assert windows.shape == (4, 1, RATE)
    assert windows.dtype == np.float32
    np.testing.assert_allclose(windows[:, 0, 0], [0, 0.5, 1.0, 1.5])


def test_a_clip_of_exactly_one_window_gives_one():
    assert cut_windows(ramp(1.0), LinearEmbedding()).shape == (1, 1, RATE)


def test_a_clip_shorter_than_a_window_is_refused():
    with pytest.raises(MetricError) as caught:
        cut_windows(ramp(0.75), LinearEmbedding())
    assert str(caught.value) == (
        "rain: 0.75 s, shorter than the 1 s window of linear-test"
        " - leave it out or use longer clips"
    )


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [(1, 1, [1.0]), (1, 2, [1.0, 1.0]), (2, 1, [1.5]), (2, 2, [1.0, 2.0]), (3, 2, [2.0, 2.0])],
)
def test_channels_are_folded_to_what_the_embedding_takes(given, asked, expected):
    windows = cut_windows(ramp(3.0, given), LinearEmbedding(channels=asked))
    np.testing.assert_allclose(windows[2, :, 0], expected, rtol=1e-6)


def test_a_clip_is_resampled_to_the_embedding_s_rate():
    seconds = np.arange(3 * 48_000) / 48_000
    clip = Clip("tone", np.sin(2 * np.pi * 100 * seconds)[None].astype(np.float32), 48_000)
    windows = cut_windows(clip, LinearEmbedding())
    expected = np.sin(2 * np.pi * 100 * (0.5 + np.arange(RATE) / RATE))
    assert windows.shape == (5, 1, RATE)
    np.testing.assert_allclose(windows[1, 0], expected, atol=1e-3)


def test_windows_can_be_written_to_without_changing_the_clip():
    clip = noise_clip()
    before = clip.samples.copy()
    cut_windows(clip, LinearEmbedding())[:] = 0
    np.testing.assert_array_equal(clip.samples, before)
