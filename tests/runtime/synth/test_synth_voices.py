from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.synth import draws, texture
from lofi_runtime.synth.drums import HITS, strike
from lofi_runtime.synth.rhythm import DRUM_PITCHES
from lofi_runtime.synth.vocabulary import INSTRUMENTS, TEXTURES
from lofi_runtime.synth.voices import VOICES, play
from lofi_runtime.synth.voices.common import frequency_of, partial_bank, phase

RATE = 48_000


def take(name, pitch, velocity=0.6, held_sec=1.0):
    return play(name, pitch, held_sec, velocity, draws.generator("test", name))


def test_every_word_of_the_vocabulary_has_a_sound():
    assert set(VOICES) == set(INSTRUMENTS)
    assert set(HITS) == set(DRUM_PITCHES)
    assert set(texture.TEXTURES) == set(TEXTURES)


@pytest.mark.parametrize("name", sorted(set(VOICES) - {"murmur"}))  # speech has no pitch to keep
def test_a_voice_is_in_tune(name):
    pitch = 40 if "bass" in name else 69
    tone = np.atleast_2d(take(name, pitch, held_sec=2.0)).mean(axis=0)[4800:91200]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(tone.size), 1 << 20))
    bins_hz = np.fft.rfftfreq(1 << 20, 1 / RATE)
    near = np.abs(np.log2(bins_hz[1:] / frequency_of(pitch))) < 1 / 24
    # The centre of the peak, since an ensemble has several.
    weights = spectrum[1:][near] ** 2
    cents = 1200 * np.log2(np.average(bins_hz[1:][near], weights=weights) / frequency_of(pitch))
    assert abs(cents) < 5.0


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("held_sec", [0.08, 0.5])
def test_a_note_begins_and_ends_in_silence_without_a_jump(name, held_sec):
    for pitch in (30, 43) if "bass" in name else (50, 70, 90):
        tone = np.atleast_2d(take(name, pitch, 0.9, held_sec))
        assert tone.dtype == np.float32
        assert np.isfinite(tone).all()
        peak = np.abs(tone).max()
        assert 0.01 < peak < 0.5
        for end in (tone[:, :4], tone[:, -4:]):
            assert np.abs(end).max() < 0.03 * peak


@pytest.mark.parametrize("name", VOICES)
def test_a_harder_touch_is_louder(name):
    pitch = 40 if "bass" in name else 66
    soft, hard = take(name, pitch, 0.3), take(name, pitch, 0.9)
    assert 1.5 < np.sqrt((hard**2).mean() / (soft**2).mean()) < 6.0


@pytest.mark.parametrize("name", HITS)
def test_a_drum_has_its_peak_and_ends_in_silence(name):
    hit = strike(name, 0.8, draws.generator("test"))
    assert np.abs(hit).max() == pytest.approx(0.8 * HITS[name][1], rel=1e-4)
    assert abs(hit[0]) < 1e-3
    assert abs(hit[-1]) < 1e-3
    assert abs(hit.mean()) < 2e-3


@pytest.mark.parametrize("name", texture.TEXTURES)
def test_a_texture_loops_without_a_seam_and_is_wide(name):
    loop = texture.loop(name, 4.0, draws.generator("test", name))
    assert loop.shape == (2, 4 * RATE)
    assert np.isfinite(loop).all()
    assert np.sqrt((loop**2).mean()) == pytest.approx(1.0, rel=1e-3)
    seam = np.abs(loop[:, 0] - loop[:, -1]).max()
    assert seam <= np.abs(np.diff(loop, axis=1)).max()
    assert abs(np.corrcoef(loop)[0, 1]) < 0.5


def test_a_bank_of_partials_equals_the_plain_sum():
    samples = 5000
    t = np.arange(samples) / RATE
    plain = 0.5 * np.exp(-t / 0.3) * np.sin(2 * np.pi * 440 * t + 0.2)
    plain += 0.25 * np.sin(2 * np.pi * 881.5 * t + 1.0)
    bank = partial_bank([440, 881.5], [0.5, 0.25], [0.3, np.inf], samples, [0.2, 1.0])
    np.testing.assert_allclose(bank, plain, atol=2e-6)


def test_a_phase_stays_exact_for_a_minute():
    samples = 60 * RATE
    exact = np.sin(2 * np.pi * ((np.arange(samples, dtype=np.float64) * 441.3 / RATE) % 1.0))
    np.testing.assert_allclose(np.sin(phase(441.3, samples)), exact, atol=2e-4)


def centroid_hz(tone):
    spectrum = np.abs(np.fft.rfft(np.atleast_2d(tone).mean(axis=0)))
    return np.average(np.fft.rfftfreq(2 * spectrum.size - 2, 1 / RATE), weights=spectrum**2)


def harmonicity(tone, pitch):
    """Return the share of the power that lies within a quarter tone of a harmonic."""
    tone = np.atleast_2d(tone).mean(axis=0)
    power = np.abs(np.fft.rfft(tone * np.hanning(tone.size))) ** 2
    ratio = np.fft.rfftfreq(tone.size, 1 / RATE)[1:] / frequency_of(pitch)
    nearest = np.maximum(np.round(ratio), 1.0)
    near = np.abs(np.log2(np.maximum(ratio, 1e-3) / nearest)) < 1 / 24
    return power[1:][near].sum() / power[1:].sum()


def length_sec(tone):
    """Return when the tone has fallen for good to a tenth of its loudest 10 ms."""
    tone = np.atleast_2d(tone)
    level = np.sqrt((tone[:, : tone.shape[1] // 480 * 480].reshape(-1, 480) ** 2).mean(axis=1))
    level = level[: tone.shape[1] // 480]
    return np.flatnonzero(level > 0.1 * level.max()).max() * 0.01


@pytest.mark.parametrize(
    ("darker", "brighter"),
    [
        ("theremin", "violin"),
        ("flute", "saxophone"),
        ("saxophone", "clavinet"),
        ("harp", "koto"),
        ("muted guitar", "koto"),
        ("humming", "female vocals"),
        ("kalimba", "steel drums"),
        ("rhodes", "casio keyboard"),
    ],
)
def test_instruments_keep_their_order_of_brightness(darker, brighter):
    assert centroid_hz(take(darker, 69)) < 0.95 * centroid_hz(take(brighter, 69))


def test_what_is_struck_short_is_shorter_than_what_rings():
    assert length_sec(take("muted guitar", 60)) < 0.4 * length_sec(take("acoustic guitar", 60))
    assert length_sec(take("marimba", 60)) < 0.6 * length_sec(take("vibraphone", 60))
    assert length_sec(take("ukulele", 66)) < length_sec(take("harp", 66))
    assert length_sec(take("synth stabs", 60)) < length_sec(take("synth pads", 60))


def test_harmonic_voices_are_harmonic_and_bells_are_not():
    for name in ("saxophone", "cello", "violin", "horn section", "analog synth", "female vocals"):
        assert harmonicity(take(name, 64), 64) > 0.95, name
    assert harmonicity(take("bells", 64), 64) < harmonicity(take("piano", 64), 64) - 0.01


def test_a_square_bass_has_odd_harmonics_only():
    tone = take("square wave bass", 40, held_sec=2.0)[4800:81600]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(tone.size)))
    bins_hz = np.fft.rfftfreq(tone.size, 1 / RATE)

    def level(number):
        return spectrum[np.abs(bins_hz - number * frequency_of(40)) < 4.0].max()

    assert level(3) > 20.0 * level(2)
    assert level(5) > 20.0 * level(4)


def test_a_chop_is_cut_and_a_murmur_has_syllables():
    def dips(tone):
        level = np.sqrt((tone[: tone.size // 960 * 960].reshape(-1, 960) ** 2).mean(axis=1))
        quiet = level < 0.25 * level.max()
        return int((np.diff(quiet.astype(int)) == 1).sum())

    assert dips(take("chopped vocals", 66, held_sec=1.0)) >= 2
    assert dips(take("murmur", 48, held_sec=2.5)) >= 5
    assert dips(take("female vocals", 66, held_sec=2.0)) <= 1
