from __future__ import annotations

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.decode import decode
from lofi_engine.audio.fingerprint import ANALYSIS_RATE, fingerprint
from tests.support.audio_folder import tune

RATE = 44_100


@pytest.mark.parametrize("window", ["start", "best"])
def test_a_long_track_is_known_by_the_whole_of_it(tmp_path, window):
    sound = tune(30.0, RATE, seed=1).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    cut = decode(tmp_path / "a.wav", keep_sec=9.0, window=window, overview=True)
    assert cut.samples.shape == (2, 9 * RATE)
    assert cut.overview is not None
    assert cut.overview.shape == (1, 30 * ANALYSIS_RATE)
    by_overview = fingerprint(cut.overview, ANALYSIS_RATE).astype(int)
    whole = fingerprint(decode(tmp_path / "a.wav").samples, RATE)
    assert by_overview.shape == whole.shape
    assert np.abs(by_overview - whole).mean() < 1


def test_a_track_that_is_kept_whole_needs_none(tmp_path):
    soundfile.write(tmp_path / "a.wav", tune(5.0, RATE, seed=1), RATE)
    assert decode(tmp_path / "a.wav", keep_sec=5.0, overview=True).overview is None
    assert decode(tmp_path / "a.wav", overview=True).overview is None
    assert decode(tmp_path / "a.wav", keep_sec=4.0).overview is None
