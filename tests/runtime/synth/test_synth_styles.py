"""What a style promises, measured in the sound alone."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from lofi_runtime.loudness import PEAK_DBFS, TARGET_LUFS, integrated_loudness
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import compose, describe, render
from lofi_runtime.synth.arrangement import TEXTURE_LEVELS_DB
from tests.support.synth_hearing import (
    RATE,
    NearestCentroid,
    band_level_db,
    beat_profile,
    chroma,
    click_rate,
    db,
    features,
    keys_by_fit,
    noise_floor_db,
    residual_db,
    tempo_bpm,
)

STYLES = load_styles()


@functools.cache
def score_of(style, seed=1, duration_sec=12, prompt=""):
    return compose(prompt, seed=seed, duration_sec=duration_sec, style=style)


@functools.cache
def heard(style, seed=1, duration_sec=12):
    samples = render(score_of(style, seed, duration_sec))
    samples.setflags(write=False)
    return samples


def without(score, *instruments):
    kept = tuple(note for note in score.notes if note.instrument not in instruments)
    assert len(kept) < len(score.notes)
    return replace(score, notes=kept)


def plain_score(style, duration_sec):
    """Return a score without textures and treatments, and its sound."""
    score = score_of(style, 1, duration_sec)
    sound = replace(score.sound, sampled=False, tremolo=0.0, warmth_db=0.0, drive=1.6)
    return replace(score, textures=(), sound=sound), sound


@functools.cache
def plain_render(style, duration_sec):
    return render(plain_score(style, duration_sec)[0])


@functools.cache
def measured(style):
    """Return the tempo and the chroma heard in 24 s of a style, ambience and all.

    Beats have octaves too, so the tempo is looked for in the octave around the middle of the
    style's range; nothing else of the answer is told.
    """
    low, high = STYLES[style].tempo_bpm
    middle = np.sqrt(low * high)
    samples = render(score_of(style, 1, 24))
    return tempo_bpm(samples, middle / np.sqrt(2), middle * np.sqrt(2)), chroma(samples)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_heard_at_the_tempo_it_is_tagged_with(style):
    """Whether the octave itself is heard (75 or 150) is not measured."""
    found, _ = measured(style)
    assert found == pytest.approx(score_of(style, 1, 24).tempo_bpm, rel=0.03)


def test_rain_and_vinyl_raise_what_they_should():
    score = without(score_of("SEASON-06"), "closed hat", "rim", "soft kick")
    bare = render(replace(score, textures=()))
    rain = render(replace(score, textures=(("rain", TEXTURE_LEVELS_DB["rain"]),)))
    vinyl = render(replace(score, textures=(("vinyl crackle", -24.0),)))
    assert noise_floor_db(rain) > noise_floor_db(bare) + 12.0
    assert noise_floor_db(rain) > noise_floor_db(vinyl) + 6.0
    assert click_rate(vinyl) > click_rate(bare) + 3.0
    assert click_rate(vinyl) > click_rate(rain) + 3.0


@pytest.mark.parametrize("name", sorted(TEXTURE_LEVELS_DB))
def test_a_texture_that_is_claimed_is_heard_but_never_drowns_the_music(name):
    score, _ = plain_score("INST-04", 8)
    plain = plain_render("INST-04", 8)
    dressed = render(replace(score, textures=((name, TEXTURE_LEVELS_DB[name]),)))
    assert -36.0 < residual_db(dressed, plain) < -8.0


SOUNDS = {
    "chorus": 0.7,
    "tremolo": 0.45,
    "crush": True,
    "sampled": True,
    "sweep": True,
    "compress": 0.5,
    "punch_db": 3.0,
    "warmth_db": 3.0,
    "air_db": 4.0,
    "width": 0.7,
    "soft_attack_sec": 0.16,
    "duck": 0.55,
    "wow_cents": 11.0,
    "drive": 2.6,
    "cutoff_hz": 4000.0,
    "reverb_share": 0.32,
}


@pytest.mark.parametrize("name", SOUNDS)
def test_every_way_of_producing_is_heard(name):
    score, sound = plain_score("CORE-01", 5)
    plain = plain_render("CORE-01", 5)
    treated = render(replace(score, sound=replace(sound, **{name: SOUNDS[name]})))
    assert residual_db(treated, plain) > -26.0
    assert integrated_loudness(treated) == pytest.approx(TARGET_LUFS, abs=0.3)
    assert db(np.abs(treated).max()) <= PEAK_DBFS


def test_minor_styles_sound_minor_and_major_styles_major():
    """Of all styles, 36 of 38 or more: every mode of a score has a minor or a major third.

    The tonic is told, and the two thirds above it are compared.
    """
    minor, wrong = set(), []
    for style in STYLES:
        key = score_of(style, 1, 24).key
        turned = np.roll(measured(style)[1], -key.tonic)
        if (turned[3] > turned[4]) != key.is_minor:
            wrong.append(style)
        if key.is_minor:
            minor.add(style)
    assert len(wrong) <= 2, wrong
    assert {"CORE-06", "SEASON-07"} <= minor
    assert not {"SEASON-02", "SEASON-04"} & minor


def test_a_phrygian_second_and_a_harmonic_minors_seventh_are_heard():
    for mode, degree, neighbour in (("phrygian", 1, 2), ("harmonic minor", 11, 10)):
        score = compose(f"C {mode}, rhodes, no drums, no vinyl", seed=2, duration_sec=16)
        heard_classes = chroma(render(score))
        assert heard_classes[degree] > heard_classes[neighbour], mode


def test_a_key_of_a_flavoured_style_is_among_the_nearest_heard():
    ranks = []
    for style in ("CORE-05", "CORE-07", "SEASON-02", "THEME-08", "VOCAL-02"):
        key = score_of(style, 2).key
        name = f"{key.name.split()[0]} {'minor' if key.is_minor else 'major'}"
        ranks.append(keys_by_fit(heard(style, 2)).index(name))
    assert np.median(ranks) <= 3, ranks


def brightness_db(samples):
    return band_level_db(samples, 3000, 16000) - band_level_db(samples, 100, 1000)


def test_summer_is_brighter_than_classic_and_classic_than_dark():
    summer, classic, dark = (
        np.mean([brightness_db(heard(style, seed)) for seed in (1, 2)])
        for style in ("SEASON-04", "CORE-01", "CORE-06")
    )
    assert summer > classic + 3.0 > dark + 6.0


def test_house_has_its_kick_on_every_beat_and_trap_has_not():
    house, trap = score_of("CORE-04", 1, 16), score_of("CORE-06", 1, 16)
    on_beats = beat_profile(render(without(house, *house.instruments)), house.tempo_bpm)
    assert on_beats[[11, 0, 1]].max() == 1.0
    assert on_beats[3:10].max() < 0.25
    kicks = {
        style: len([n for n in score.notes if "kick" in n.instrument]) / score.duration_sec
        for style, score in (("house", house), ("trap", trap))
    }
    assert kicks["house"] > 2.0 * kicks["trap"]


def test_sleigh_bells_raise_6_to_12_khz():
    score = score_of("SEASON-02")
    with_bells, bare = render(score), render(without(score, "sleigh bells"))
    assert band_level_db(with_bells, 6000, 12000) > band_level_db(bare, 6000, 12000) + 4.0
    assert abs(band_level_db(with_bells, 100, 1000) - band_level_db(bare, 100, 1000)) < 1.0


def test_jazz_has_richer_chords_than_house_and_house_changes_them_less():
    def chords(style):
        score = score_of(style, 3, 40)
        chordal = [n for n in score.notes if n.instrument in score.instruments]
        bars = [
            {n.pitch % 12 for n in chordal if n.start_beats // 4 == bar} for bar in range(4, 12)
        ]
        return np.mean([len(bar) for bar in bars]), len({frozenset(bar) for bar in bars})

    jazz_notes, _ = chords("CORE-02")
    house_notes, house_bars = chords("CORE-04")
    assert jazz_notes > house_notes + 1.0
    assert house_bars <= 6


def test_jazz_swings_and_house_does_not():
    def late_eighths(style):
        score = score_of(style, 1, 30)
        hats = [n.start_beats % 1.0 for n in score.notes if n.instrument in ("ride", "open hat")]
        return np.median([place for place in hats if 0.3 < place < 0.95])

    assert late_eighths("CORE-02") > 0.62
    assert late_eighths("CORE-04") < 0.58


@pytest.mark.parametrize("style", STYLES)
def test_a_description_claims_no_instrument_that_does_not_play(style):
    score = score_of(style, 5, 30)
    said = describe(score)
    playing = {note.instrument for note in score.notes}
    hands = {"bongos": "bongo low", "shaker": "shaker", "sleigh bells": "sleigh bells"}
    for name in said["instruments"]:
        assert hands.get(name, name) in playing, name
    assert said["textures"] == [name for name, _ in score.textures]
    tags = said["prompt"].split(", ")
    kicks = any("kick" in name for name in playing)
    assert kicks or not {"side-chain compression", "punchy drums"} & set(tags)
    assert ("bitcrushed" in tags) == score.sound.crush
    assert ("chorus effect" in tags) == (score.sound.chorus > 0.0)
    assert ("tremolo" in tags) == (score.sound.tremolo > 0.0)
    assert ("tape wobble" in tags) == (score.sound.wow_cents > 7.0)


def test_only_vocal_styles_and_bedroom_pop_have_a_voice():
    for style in STYLES.values():
        said = describe(score_of(style.id, 4, 30))
        assert (said["vocal_type"] == "instrumental") == (not style.vocal), style.id


def test_styles_are_told_apart_by_their_sound_alone():
    chosen = ("CORE-02", "CORE-04", "CORE-06", "SEASON-04", "SEASON-06", "THEME-07")
    known = {style: np.array([features(heard(style, seed)) for seed in (1, 2)]) for style in chosen}
    judge = NearestCentroid(known)
    right = sum(judge.rank(features(heard(style, 3)))[0] == style for style in chosen)
    assert right >= len(chosen) - 1  # chance would find one


def test_a_loop_of_air_has_no_edge_in_a_long_track():
    score = replace(score_of("SEASON-06", 1, 50), notes=(), kit="", instruments=())
    samples = render(replace(score, textures=(("tape hiss", -31.0),)))
    level = np.sqrt((samples[:, RATE : 46 * RATE].reshape(2, -1, RATE // 4) ** 2).mean(axis=2))
    assert level.max() < 1.3 * level.min()
