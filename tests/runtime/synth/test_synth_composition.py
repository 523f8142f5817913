from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from lofi_runtime.styles.prompts import tempo_tags
from lofi_runtime.styles.taxonomy import CATEGORIES, load_styles
from lofi_runtime.synth import compose, describe
from lofi_runtime.synth import vocabulary as v
from lofi_runtime.synth.arrangement import LEAD_RANGES, choose_sections
from lofi_runtime.synth.defaults import expand
from lofi_runtime.synth.rhythm import DRUM_PITCHES

STYLES = load_styles()
HOMES = {
    tag: category
    for style in STYLES.values()
    for category, tags in style.tags.items()
    for tag in tags
}
# What a score may say and no style does: it has none of these, and nothing else is as true.
OWN_WORDS = {
    "no drums": "instruments",
    "harp": "instruments",
    "wind": "atmosphere",
    "murmuring": "vocal_type",
}


def pitched(score):
    return [note for note in score.notes if note.instrument not in DRUM_PITCHES]


def drums(score):
    return [note for note in score.notes if note.instrument in DRUM_PITCHES]


def test_the_same_request_gives_the_same_score_and_another_seed_another():
    first = compose("rainy rhodes", seed=4, duration_sec=30)
    assert compose("rainy rhodes", seed=4, duration_sec=30) == first
    assert compose("rainy rhodes", seed=5, duration_sec=30).notes != first.notes
    assert compose("rainy rhodes ", seed=4, duration_sec=30).notes != first.notes


def test_a_score_does_not_depend_on_pythons_hash_seed():
    code = (
        "from lofi_runtime.synth import compose; import hashlib;"
        "s = compose('夜 coding, sax', seed=2**53 - 1, duration_sec=40, style='THEME-08');"
        "print(hashlib.sha256(repr(s).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    here = compose("夜 coding, sax", seed=2**53 - 1, duration_sec=40, style="THEME-08")
    digests.add(hashlib.sha256(repr(here).encode()).hexdigest())
    assert len(digests) == 1


def test_composing_and_describing_leave_scipy_alone():
    code = (
        "import sys, lofi_runtime.synth as s; from lofi_runtime.synth.backend import *;"
        "s.describe(s.compose('x', seed=1, duration_sec=10)); ProceduralBackend();"
        "print('scipy' in sys.modules, s.VERSION > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True"


@pytest.mark.parametrize("style", STYLES)
def test_the_description_read_back_gives_the_same_wishes(style):
    score = compose("", seed=11, duration_sec=30, style=style)
    told = describe(score)
    wishes = expand(told["prompt"])
    assert wishes.tempo_bpm == (score.tempo_bpm, score.tempo_bpm)
    assert (wishes.tonic, wishes.mode) == (score.key.tonic, score.key.mode)
    assert wishes.genre == score.genre
    assert set(score.instruments) <= set(wishes.instruments)
    assert {name for name, _ in score.textures} <= set(wishes.textures)
    assert (wishes.kit or "") == score.kit


@pytest.mark.parametrize("style", STYLES)
def test_a_description_speaks_the_words_of_prompts_in_the_templates_order(style):
    for seed in range(3):
        score = compose("", seed=seed, duration_sec=30, style=style)
        spoken = describe(score)["prompt"].split(", ")
        own = OWN_WORDS | dict.fromkeys((*tempo_tags(score.tempo_bpm), score.key.name), "tempo")
        categories = [HOMES.get(tag) or own[tag] for tag in spoken]
        assert categories == sorted(categories, key=CATEGORIES.index)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_played_in_a_mode_and_at_a_tempo_of_the_taxonomy(style):
    low, high = STYLES[style].tempo_bpm
    for seed in range(10):
        score = compose("", seed=seed, duration_sec=30, style=style)
        assert score.key.mode in STYLES[style].modes
        assert low <= score.tempo_bpm <= high


@pytest.mark.parametrize("style", STYLES)
def test_what_a_style_asks_for_is_played_in_half_a_minute(style):
    score = compose("", seed=3, duration_sec=30, style=style)
    assert set(expand("", style).instruments) <= set(score.instruments)


@pytest.mark.parametrize("instrument", tuple(v.INSTRUMENTS))
def test_an_instrument_asked_for_plays_and_one_refused_does_not(instrument):
    asked = compose(f"lofi, {instrument}", seed=1, duration_sec=30)
    assert instrument in asked.instruments
    assert any(note.instrument == instrument for note in asked.notes)
    refused = compose(f"jazz, no {instrument}", seed=1, duration_sec=30)
    assert all(note.instrument != instrument for note in refused.notes)


def test_no_drums_means_no_drum_note_and_the_description_says_so():
    score = compose("no drums, sleigh bells, piano", seed=1, duration_sec=40)
    assert drums(score) == []
    assert "no drums" in describe(score)["prompt"]
    assert describe(score)["drums"] == ""


def test_kits_follow_the_words():
    assert compose("house beat", seed=1, duration_sec=30).kit == "house"
    assert compose("brushed drums", seed=1, duration_sec=30).kit == "brushes"
    assert compose("lofi house", seed=1, duration_sec=30).tempo_bpm >= 110
    names = {n.instrument for n in drums(compose("bongos", seed=1, duration_sec=30))}
    assert {"bongo low", "bongo high"} <= names


@pytest.mark.parametrize(("mode", "third"), [("major", 4), ("minor", 3)])
def test_the_first_chord_has_the_third_of_the_asked_mode(mode, third):
    for seed in range(6):
        score = compose(f"c {mode}, rhodes, slow tempo", seed=seed, duration_sec=30)
        classes = {n.pitch % 12 for n in pitched(score) if n.start_beats < 4.0}
        assert third in classes
        assert 7 - third not in classes


def test_a_piece_ends_at_home():
    for seed in range(8):
        score = compose("g minor, piano", seed=seed, duration_sec=45)
        last_bar = score.sections[-1].start_bar * 4
        bass = [n for n in score.notes if n.instrument == "bass guitar"]
        assert bass[-1].start_beats >= last_bar - 0.1
        assert bass[-1].pitch % 12 == 7


def test_human_hands_are_never_exactly_on_the_grid_nor_far_from_it():
    hats = [n for n in compose("boom bap", seed=2, duration_sec=60).notes if n.pitch == 42]
    errors = [abs(n.start_beats * 2 - round(n.start_beats * 2)) / 2 for n in hats]
    assert max(errors) < 0.13
    assert sum(error > 0.001 for error in errors) > len(errors) / 2
    assert len({n.velocity for n in hats}) > len(hats) / 2


def test_melodies_stay_in_their_instruments_range():
    for instrument, (low, high) in LEAD_RANGES.items():
        score = compose(f"{instrument}, rhodes", seed=9, duration_sec=60)
        if instrument in ("saxophone", "flute", "bells", "humming", "trumpet"):
            pitches = [n.pitch for n in score.notes if n.instrument == instrument]
            assert low - 6 <= min(pitches)
            assert max(pitches) <= high + 6


def test_a_theme_returns_note_for_note():
    score = compose("saxophone, rhodes, 80 bpm", seed=5, duration_sec=150)
    themes = [s for s in score.sections if s.name == "A" and s.bars == 8]
    assert len(themes) >= 2
    melodies = []
    for theme in themes[:2]:
        start, end = theme.start_bar * 4, (theme.start_bar + 8) * 4
        melodies.append(
            [
                n.pitch
                for n in score.notes
                if n.instrument == "saxophone" and start <= n.start_beats < end
            ]
        )
    assert melodies[0] == melodies[1]
    assert len(set(melodies[0])) >= 3


@pytest.mark.parametrize("bars", range(1, 60))
def test_the_form_fills_every_bar_once(bars):
    sections = choose_sections(bars, ring=True)
    assert sections[0].start_bar == 0
    for before, after in pairwise(sections):
        assert before.start_bar + before.bars == after.start_bar
    assert sections[-1].name == "end"
    assert sections[-1].start_bar == bars


@pytest.mark.parametrize("duration_sec", [0.5, 5, 7.3, 31, 240, 600])
def test_notes_lie_within_the_track_at_any_length(duration_sec):
    score = compose("piano, 70 bpm", seed=1, duration_sec=duration_sec)
    end_beats = duration_sec * 70 / 60
    assert score.notes
    for note in score.notes:
        assert 0.0 <= note.start_beats < end_beats
        assert note.duration_beats > 0.0
        assert note.start_beats + note.duration_beats <= end_beats + 1e-6
        assert 0.0 < note.velocity <= 1.0


def test_an_impossible_duration_or_seed_is_refused_by_name():
    with pytest.raises(ValueError, match="duration_sec is 0"):
        compose("x", seed=1, duration_sec=0)
    with pytest.raises(ValueError, match="seed is -1"):
        compose("x", seed=-1, duration_sec=10)


def test_the_description_tells_only_what_sounds():
    score = compose("saxophone, rain, 72 bpm, e minor", seed=1, duration_sec=30)
    told = describe(score)
    assert told["tempo_bpm"] == 72
    assert told["key"] == "E minor"
    assert "72 bpm" in told["prompt"].split(", ")
    assert "E minor" in told["prompt"].split(", ")
    assert "rain" in told["textures"]
    silent = replace(score, notes=(), instruments=())
    assert describe(silent)["instruments"] == []
    assert describe(silent)["drums"] == ""
