from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.synth import effects

RATE = 48_000
CHUNK = effects._CHUNK


def tone(seconds=6.0, hertz=440.0):
    wave = 0.2 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.mark.parametrize(
    "effect",
    [
        lambda bus: effects.chorus(bus, 0.7),
        lambda bus: effects.tremolo(bus, 0.45),
        lambda bus: effects.sweep(bus, 4.0),
        lambda bus: effects.compress(bus, 0.5),
        effects.band_limit,
    ],
)
def test_an_effect_keeps_length_type_and_sanity_and_shows_no_seam(effect):
    bus = tone(12.0)
    effect(bus)
    assert bus.dtype == np.float32
    assert bus.shape == (2, 12 * RATE)
    assert np.isfinite(bus).all()
    assert 0.005 < np.abs(bus).max() < 0.5
    steps = np.abs(np.diff(bus, 2, axis=1)).max(axis=0)
    for seam in range(CHUNK, bus.shape[1], CHUNK):
        usual = steps[seam - 4000 : seam - 100].max()
        assert steps[seam - 4 : seam + 4].max() < 1.2 * usual + 1e-5


def test_crushed_sound_has_few_levels_and_holds_them():
    bus = tone(1.0)
    effects.crush(bus)
    assert np.unique(bus).size <= 65
    assert (np.diff(bus[0]).reshape(-1) != 0).sum() <= bus.shape[1] // 4
    silence = np.zeros((2, 4800), np.float32)
    effects.crush(silence)
    assert not silence.any()


def test_a_tremolo_sways_from_side_to_side():
    bus = tone(3.0)
    effects.tremolo(bus, 0.45)
    left, right = np.sqrt((bus.reshape(2, -1, 480) ** 2).mean(axis=2))
    assert np.corrcoef(left, right)[0, 1] < -0.9


def test_a_sweep_lets_highs_come_and_go():
    bus = tone(8.0, 4000.0)
    effects.sweep(bus, 4.0)
    level = np.sqrt((bus[0].reshape(-1, 4800) ** 2).mean(axis=1))
    assert level.max() > 8.0 * level.min()


def test_compression_brings_loud_and_quiet_nearer():
    bus = tone(6.0)
    bus[:, 2 * RATE :] *= 0.25
    effects.compress(bus, 0.5)
    loud, quiet = (np.abs(bus[:, t * RATE : (t + 1) * RATE]).max() for t in (1, 5))
    assert 1.5 < loud / quiet < 3.5
    silence = np.zeros((2, 4800), np.float32)
    effects.compress(silence, 0.5)
    assert not silence.any()


def test_warmth_and_air_lift_their_own_bands():
    from scipy.signal import sosfreqz

    sections = effects.shelf_sections(3.0, 4.0)
    hertz, response = sosfreqz(sections, [40.0, 220.0, 1000.0, 12_000.0], fs=RATE)
    gains = 20 * np.log10(np.abs(response))
    assert gains[1] == pytest.approx(3.0, abs=0.3)
    assert gains[3] == pytest.approx(4.0, abs=0.4)
    assert abs(gains[0]) < 1.0
    assert hertz.size == 4
    assert effects.shelf_sections(0.0, 0.0).shape == (0, 6)
