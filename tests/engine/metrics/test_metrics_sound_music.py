"""The built-in embedding on music: what it tells apart, and what it makes of worse sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lofi_engine.metrics.embeddings.sound import SoundEmbedding, measure
from lofi_engine.metrics.frechet import frechet_distance
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from tests.support.real_track import REAL_TRACK, needs_real_track
from tests.support.sound_music import degraded, every, heard, stack

NAMES = [dimension.name for dimension in SoundEmbedding().dimensions_table]
STYLES = every(2)
KNOWN_SEEDS, NEW_SEED = (21, 22), 23
WINDOWS = 2
LADDER_STYLES = every(4)


def test_styles_of_tracks_never_heard_are_told_by_the_nearest_centre():
    centres = np.stack(
        [stack(heard(s, seed, WINDOWS) for seed in KNOWN_SEEDS).mean(axis=0) for s in STYLES]
    )
    tracks = np.stack([heard(style, NEW_SEED, WINDOWS).mean(axis=0) for style in STYLES])
    distances = np.square(tracks[:, None] - centres[None]).sum(axis=2)
    right = np.mean(distances.argmin(axis=1) == np.arange(len(STYLES)))
    assert len(STYLES) == 19
    assert right >= 0.75, f"{right:.0%}, chance {1 / len(STYLES):.0%}"


def music():
    return stack(heard(s, seed, WINDOWS) for s in STYLES for seed in (*KNOWN_SEEDS, NEW_SEED))


def test_the_scales_kept_in_the_code_are_those_of_lofi_music():
    vectors = music()
    table = SoundEmbedding().dimensions_table
    chosen = {"loudness", "tuning-in", "tuning-off"}
    for dimension, column in zip(table, vectors.T, strict=True):
        assert abs(column.mean()) < 0.75, dimension.name
        if dimension.name not in chosen:
            assert 0.5 < column.std() < 1.6, dimension.name


def test_no_dimension_is_constant_and_none_is_another():
    vectors = music()
    assert vectors.std(axis=0).min() > 0.1
    correlation = np.corrcoef(vectors.T)
    off = np.abs(correlation - np.eye(len(correlation)))
    first, second = np.unravel_index(off.argmax(), off.shape)
    assert off.max() < 0.95, f"{NAMES[first]} and {NAMES[second]}"
    # 430 over four tracks of every style; fewer windows make it larger.
    assert np.linalg.cond(correlation) < 5_000


def levels_tried(name):
    levels = DEGRADATIONS[name].levels
    return (levels[0], levels[2], levels[-1])


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_distance_grows_with_each_degradation(name):
    clean = stack(heard(style, 21, WINDOWS) for style in LADDER_STYLES)
    distances = [
        frechet_distance(stack(degraded(s, 21, WINDOWS, name, level) for s in LADDER_STYLES), clean)
        for level in levels_tried(name)
    ]
    assert distances[0] > 0.3
    assert all(later > 1.5 * earlier for earlier, later in pairwise(distances)), distances


# A set knows a tempo only by how many clips have it: 2 % is less than halves of music differ by.
TOLD_FROM = {name: 0 if name != "tempo" else 2 for name in DEGRADATIONS}


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degraded_half_is_farther_from_the_other_half_than_a_clean_one(name):
    level = levels_tried(name)[TOLD_FROM[name]]
    rng = np.random.default_rng(0)
    farther = []
    for _ in range(30):
        order = rng.permutation(LADDER_STYLES)
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        rest = stack(heard(style, 21, WINDOWS) for style in other)
        clean = frechet_distance(stack(heard(style, 21, WINDOWS) for style in one), rest)
        worse = frechet_distance(stack(degraded(s, 21, WINDOWS, name, level) for s in one), rest)
        farther.append(worse > clean)
    assert np.mean(farther) >= 0.9, np.mean(farther)


@needs_real_track
def test_a_real_track_is_finite_not_far_and_its_vocoder_is_heard():
    from lofi_engine.audio.decode import decode
    from lofi_engine.metrics.clips import Clip
    from lofi_engine.metrics.windows import cut_windows

    decoded = decode(REAL_TRACK)
    clip = Clip("real", decoded.samples[:, : 30 * decoded.sample_rate], decoded.sample_rate)
    windows = cut_windows(clip, SoundEmbedding())
    vectors = SoundEmbedding().embed(windows)
    assert vectors.shape == (19, 58)
    assert np.isfinite(vectors).all()
    assert np.abs(vectors).max() < 15
    # It was generated: lines at multiples of 44100 / 512 Hz stand 4 dB higher than in music.
    table = {dimension.name: dimension for dimension in SoundEmbedding().dimensions_table}
    combs = np.mean([measure(window)["comb-3"] for window in windows])
    assert combs > table["comb-3"].centre + 2.5
