from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.audio.convert import (
    fold,
    gain_to_loudness,
    gain_to_peak,
    resample,
    to_stereo,
    without_offset,
)
from lofi_engine.audio.decode import Decoded


def decoded(samples: np.ndarray, subtype: str = "PCM_16") -> Decoded:
    samples = samples.astype(np.float32)
    return Decoded(samples, 48_000, samples.shape[1] / 48_000, "WAV", subtype)


def only(channel: int, channels: int) -> np.ndarray:
    samples = np.zeros((channels, 4))
    samples[channel] = 1.0
    return samples


def test_mono_is_put_on_both_sides():
    stereo = to_stereo(decoded(np.ones((1, 4))))
    assert stereo.tolist() == [[1.0] * 4] * 2


def test_mono_stays_one_channel_while_it_is_worked_on():
    assert fold(decoded(np.ones((1, 4)))).shape == (1, 4)


def test_places_a_container_names_win_over_the_formats_order():
    samples = only(3, 4)
    named = Decoded(samples, 48_000, 1.0, "M4A", "AAC", layout=("L", "R", "C", "Cs"))
    assert fold(named)[:, 0].tolist() == [0.5, 0.5]


def test_stereo_is_left_alone():
    samples = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    assert np.array_equal(to_stereo(decoded(samples)), samples)


@pytest.mark.parametrize(
    ("channel", "subtype", "gains"),
    [
        (0, "PCM_16", (1.0, 0.0)),
        (1, "PCM_16", (0.0, 1.0)),
        (2, "PCM_16", (0.7071, 0.7071)),
        (3, "PCM_16", (0.0, 0.0)),
        (4, "PCM_16", (0.7071, 0.0)),
        (5, "PCM_16", (0.0, 0.7071)),
        (1, "VORBIS", (0.7071, 0.7071)),
        (2, "OPUS", (0.0, 1.0)),
        (5, "VORBIS", (0.0, 0.0)),
    ],
)
def test_surround_folds_down_by_the_formats_own_channel_order(channel, subtype, gains):
    stereo = to_stereo(decoded(only(channel, 6), subtype))
    assert stereo[:, 0].tolist() == pytest.approx(gains, abs=1e-4)


def test_an_unknown_layout_is_averaged():
    assert to_stereo(decoded(np.ones((12, 4)))).tolist() == [[1.0] * 4] * 2


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_resampling_keeps_length_pitch_and_level(rate):
    seconds = np.arange(rate) / rate
    wave = np.sin(2 * np.pi * 1_000 * seconds).astype(np.float32)
    out = resample(np.stack([wave, wave]), rate)
    assert out.shape == (2, 48_000)
    wanted = np.sin(2 * np.pi * 1_000 * np.arange(48_000) / 48_000)
    assert np.abs(out[0, 1_000:-1_000] - wanted[1_000:-1_000]).max() < 1e-3


def test_the_gain_brings_the_peak_where_it_was_asked_to_be():
    samples = np.array([[0.1, -0.2], [0.0, 0.05]], np.float32)
    gain = gain_to_peak(samples, -1.0)
    assert np.abs(samples * gain).max() == pytest.approx(10 ** (-1 / 20), abs=1e-6)
    with pytest.raises(ValueError, match="no peak"):
        gain_to_peak(np.zeros((2, 4), np.float32), -1.0)


def test_what_is_too_quiet_for_a_loudness_has_no_gain_to_one():
    with pytest.raises(ValueError, match="no loudness"):
        gain_to_loudness(np.full((2, 48_000), 1e-6, np.float32), -14.0, -1.0)


def test_an_offset_is_taken_out_of_each_channel():
    out = without_offset(np.array([[1.0, 3.0], [-1.0, -1.0]], np.float32))
    assert out.tolist() == [[-1.0, 1.0], [0.0, 0.0]]
