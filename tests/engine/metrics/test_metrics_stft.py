from __future__ import annotations

import numpy as np
import pytest
import torch

from lofi_engine.metrics.stft import (
    RESOLUTIONS,
    SHORTEST_SAMPLES,
    Resolution,
    framed,
    hann,
    stft_distance,
)


def noise(seed: int, channels: int = 2, length: int = 12_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((channels, length))).astype(np.float32)


def test_the_same_sound_is_no_distance_away():
    sound = noise(1)
    assert stft_distance(sound, sound).total == 0.0


def test_half_the_level_is_a_half_and_the_logarithm_of_two():
    sound = noise(1)
    distance = stft_distance(0.5 * sound, sound)
    assert distance.convergence == pytest.approx(0.5, abs=1e-6)
    assert distance.log_magnitude == pytest.approx(np.log(2), abs=1e-3)


def test_a_transform_of_four_samples_agrees_with_arithmetic_by_hand():
    # Hann of four: 0, 1/2, 1, 1/2; hop 4; mirrored by two: x2 x1 | x0 x1 x2 x3 | x2 x1.
    # Frame 0 of an impulse at x0 is 0 0 1 0: |X| = 1 in each of three bins. Frame 1 is
    # x2 x3 x2 x1 under the window: 0. All of it doubled: |X| = 2.
    impulse = np.array([[1.0, 0.0, 0.0, 0.0]], np.float32)
    distance = stft_distance(2 * impulse, impulse, [Resolution(4, 4, 4)])
    # Nothing is 1e-4 (the floor), in both alike: three bins of |1 - 2|^2 over three of 1.
    assert distance.convergence == pytest.approx(1.0, abs=1e-6)
    assert distance.log_magnitude == pytest.approx(3 * np.log(2) / 6, rel=1e-6)


def test_frames_stand_around_multiples_of_the_hop_with_mirrored_ends():
    samples = np.arange(8, dtype=np.float32)[None]
    frames = framed(samples, 4, 4, 4)[0]
    assert frames.tolist() == [[2, 1, 0, 1], [2, 3, 4, 5], [6, 7, 6, 5]]
    assert framed(samples, 4, 4, 2)[0].tolist() == [[1, 0], [3, 4], [7, 6]]


def test_it_agrees_with_pytorchs_transform_and_the_papers_formula():
    found, reference = noise(1), noise(2)
    total = 0.0
    for one in RESOLUTIONS:
        magnitudes = []
        for sound in (found, reference):
            spectrum = torch.stft(
                torch.from_numpy(sound).double(),
                one.fft_size,
                one.hop,
                one.window,
                torch.hann_window(one.window, dtype=torch.float64),
                return_complex=True,
            )
            magnitudes.append(spectrum.abs().square().clamp(min=1e-8).sqrt())
        x, y = magnitudes
        total += float((y - x).norm() / y.norm() + (x.log() - y.log()).abs().mean())
    assert stft_distance(found, reference).total == pytest.approx(total / 3, rel=1e-6)


def test_it_agrees_with_librosas_transform_at_one_resolution():
    import librosa

    found, reference = noise(3, 1), noise(4, 1)
    x, y = (
        np.abs(librosa.stft(sound, n_fft=1024, hop_length=120, win_length=600, pad_mode="reflect"))
        for sound in (found.astype(np.float64), reference.astype(np.float64))
    )
    distance = stft_distance(found, reference, [Resolution(1024, 120, 600)])
    assert distance.convergence == pytest.approx(
        np.linalg.norm(y - x) / np.linalg.norm(y), rel=1e-6
    )
    assert distance.log_magnitude == pytest.approx(np.abs(np.log(x / y)).mean(), rel=1e-4)


def test_channels_are_measured_apart_not_folded():
    sound = noise(5)
    swapped = sound[::-1].copy()
    assert stft_distance(swapped, sound).total > 0.5  # their mono fold is the same


def test_a_channel_that_is_silent_in_the_reference_divides_by_nothing():
    reference = noise(6)
    reference[1] = 0
    assert np.isfinite(stft_distance(noise(7), reference).total)


def test_the_shortest_sound_can_be_measured():
    sound = noise(8, 1, SHORTEST_SAMPLES)
    assert np.isfinite(stft_distance(0.9 * sound, sound).total)


def test_the_window_is_periodic():
    assert hann(4).tolist() == [0.0, 0.5, 1.0, 0.5]
