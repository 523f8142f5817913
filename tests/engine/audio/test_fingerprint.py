from __future__ import annotations

import time

import numpy as np
import pytest

from lofi_engine.audio.fingerprint import BANDS, FRAMES_PER_SEC, MIDDLE, fingerprint
from lofi_engine.audio.likeness import MIN_FRAMES, likeness
from lofi_engine.data.duplicates import SAME_FROM
from tests.support.recordings import CHANGES, SAMPLE_RATE, play

DURATION_SEC = 20.0


def drawn(style_id: str, seed: int, words: int | None = None):
    return fingerprint(play(style_id, seed, DURATION_SEC, words), SAMPLE_RATE)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("style_id", ["CORE-01", "THEME-06"])
def test_a_changed_recording_is_the_same_recording(style_id, change, tmp_path):
    samples = play(style_id, 1, DURATION_SEC)
    other = fingerprint(*CHANGES[change](samples, tmp_path))
    assert likeness(drawn(style_id, 1), other) >= SAME_FROM


@pytest.mark.parametrize("style_id", ["CORE-01", "INST-06", "SEASON-03", "THEME-06", "VOCAL-04"])
def test_two_tracks_from_the_same_words_are_not_the_same_recording(style_id):
    assert likeness(drawn(style_id, 1), drawn(style_id, 2, words=1)) < SAME_FROM - 0.1


def test_an_excerpt_is_found_in_its_whole_and_the_order_does_not_matter():
    whole = drawn("CORE-03", 5)
    excerpt = fingerprint(play("CORE-03", 5, DURATION_SEC)[:, 9 * SAMPLE_RATE :], SAMPLE_RATE)
    assert likeness(excerpt, whole) > 0.9
    assert likeness(whole, excerpt) == likeness(excerpt, whole)


def test_it_is_ten_frames_a_second_of_72_bands_around_the_middle():
    one = drawn("CORE-01", 1)
    assert one.dtype == np.uint8
    assert one.shape == (FRAMES_PER_SEC * round(DURATION_SEC) - 5, BANDS)
    assert abs(float(one.mean()) - MIDDLE) < 4
    assert np.array_equal(one, fingerprint(play("CORE-01", 1, DURATION_SEC), SAMPLE_RATE))


@pytest.mark.parametrize("seconds", [0.0, 0.3, 3.0])
def test_silence_and_very_short_sounds_are_like_nothing(seconds):
    silent = fingerprint(np.zeros((2, round(seconds * 8000)), np.float32), 8000)
    assert len(silent) == 0
    assert likeness(silent, drawn("CORE-01", 1)) == 0.0
    short = drawn("CORE-01", 1)[: MIN_FRAMES - 1]
    assert likeness(short, short) == 0.0


def test_a_sound_that_never_changes_is_like_nothing():
    hum = np.full((1, 48_000 * 12), 0.5, np.float32)
    flat = fingerprint(hum, 48_000)
    assert likeness(flat, drawn("CORE-01", 1)) < 0.4


def test_a_minute_of_stereo_takes_well_under_150_ms_of_processor():
    minute = np.tile(play("CORE-01", 1, DURATION_SEC), 3)
    fingerprint(minute, SAMPLE_RATE)
    start = time.process_time()
    fingerprint(minute, SAMPLE_RATE)
    assert time.process_time() - start < 0.15
