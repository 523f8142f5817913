from __future__ import annotations

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.decode import decode
from lofi_engine.audio.window import LevelMeter
from tests.support.audio_folder import tune

RATE = 22_050


def song() -> np.ndarray:
    """Play an intro of 5 s, 10 s of music, a break of 2 s, 6 s of music and a quiet end."""
    music = tune(29.0, RATE, seed=1)
    gains = np.repeat([0.05, 1.0, 0.0, 1.0, 0.2], np.array([5, 10, 2, 6, 6]) * RATE)
    return (music * gains[:, None]).astype(np.float32)


def best_start(sound: np.ndarray, keep_sec: float, block: int = 10_000) -> float:
    meter = LevelMeter(RATE)
    for start in range(0, len(sound), block):
        meter.take(sound[start : start + block])
    return meter.best_start(keep_sec)


def test_the_best_window_is_the_loud_and_steady_one():
    assert best_start(song(), 10.0) == 5.0
    assert 5.0 <= best_start(song(), 6.0) <= 9.0


def test_the_earliest_of_equals_is_taken_and_what_is_short_starts_at_its_start():
    music = tune(3.0, RATE, seed=1)
    assert best_start(np.concatenate([music] * 4), 3.0) <= 3.0
    assert best_start(music, 10.0) == 0.0
    assert best_start(np.zeros((RATE * 5, 2), np.float32), 2.0) == 0.0


def test_the_blocks_a_decoder_gives_do_not_matter():
    assert best_start(song(), 10.0, 777) == best_start(song(), 10.0, 200_000)


def test_decoding_keeps_the_best_stretch_when_asked(tmp_path):
    soundfile.write(tmp_path / "a.wav", song(), RATE, subtype="FLOAT")
    start = decode(tmp_path / "a.wav", keep_sec=10.0)
    best = decode(tmp_path / "a.wav", keep_sec=10.0, window="best")
    assert (start.start_sec, best.start_sec) == (0.0, 5.0)
    assert best.duration_sec == start.duration_sec == 29.0
    assert np.array_equal(best.samples, song().T[:, 5 * RATE : 15 * RATE])
    whole = decode(tmp_path / "a.wav", keep_sec=60.0, window="best")
    assert (whole.start_sec, whole.samples.shape[1]) == (0.0, 29 * RATE)
    assert best.overview is None
    near = decode(tmp_path / "a.wav", keep_sec=28.9, window="best")
    assert near.samples.shape[1] == pytest.approx(28.9 * RATE, abs=1)
