"""Buzz, throb and whistles are found where they are, and music has none of them."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.base_quality.lines import (
    comb_db,
    prominences_db,
    steadiest_tone_db,
    strongest_line,
    throb_db,
)

RATE = 48_000
FRAME_HZ, LATENT_HZ = 44_100 / 512, 44_100 / 4096


def _noise(seconds: float = 6.0) -> np.ndarray:
    return (
        np.random.default_rng(0).standard_normal((2, int(seconds * RATE))).astype(np.float32) * 0.1
    )


def _times(samples: np.ndarray) -> np.ndarray:
    return np.arange(samples.shape[1]) / RATE


def test_a_buzz_at_the_frame_rate_stands_out_and_noise_does_not():
    noise = _noise()
    partials = np.arange(1, 180) * FRAME_HZ
    buzz = 0.002 * np.sin(2 * np.pi * np.outer(partials, _times(noise))).sum(axis=0)
    clean, buzzing = (
        comb_db(prominences_db(one), FRAME_HZ, RATE, 16_000.0)
        for one in (noise, (noise + buzz).astype(np.float32))
    )
    assert clean == pytest.approx(0.0, abs=1.0)
    assert buzzing > 8.0


def test_lines_at_other_multiples_are_no_buzz_at_the_frame_rate():
    noise = _noise()
    partials = np.arange(1, 150) * 100.0
    hum = 0.002 * np.sin(2 * np.pi * np.outer(partials, _times(noise))).sum(axis=0)
    found = comb_db(prominences_db((noise + hum).astype(np.float32)), FRAME_HZ, RATE, 16_000.0)
    assert abs(found) < 2.0


def test_a_level_that_swings_at_the_latent_rate_throbs():
    noise = _noise()
    swung = noise * (1 + 0.5 * np.sin(2 * np.pi * LATENT_HZ * _times(noise)))
    assert throb_db(swung.astype(np.float32), RATE, LATENT_HZ) > 15.0
    assert throb_db(noise, RATE, LATENT_HZ) < 10.0


def test_a_whistle_is_steady_and_named_by_its_frequency_but_notes_are_not():
    noise = _noise()
    whistle = 0.04 * np.sin(2 * np.pi * 3000.0 * _times(noise))
    notes = whistle * (np.sin(2 * np.pi * 0.5 * _times(noise)) > 0)
    whistling = (noise + whistle).astype(np.float32)
    at_hz, height_db = strongest_line(prominences_db(whistling), RATE, 60.0)
    assert at_hz == pytest.approx(3000.0, abs=1.0)
    assert height_db > 20.0
    assert steadiest_tone_db(whistling, RATE, 60.0) > 18.0
    assert steadiest_tone_db((noise + notes).astype(np.float32), RATE, 60.0) < 3.0
