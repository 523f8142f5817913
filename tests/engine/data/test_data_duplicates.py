from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lofi_engine.audio.fingerprint import BANDS, fingerprint
from lofi_engine.data.duplicates import near_duplicates
from lofi_engine.data.twins import Good, judge_twins
from lofi_runtime.styles.taxonomy import load_styles
from tests.support.recordings import CHANGES, SAMPLE_RATE, play

NO_SOUND = np.zeros((0, BANDS), np.uint8)


def made_up(count: int, frames: int) -> dict[str, np.ndarray]:
    """Give fingerprints with the smoothness of music, each its own."""
    rng = np.random.default_rng(0)
    prints = {}
    for number in range(count):
        rough = rng.standard_normal((frames, BANDS), dtype=np.float32)
        smooth = gaussian_filter1d(rough, 2.0, axis=0)
        prints[f"t{number:04d}"] = np.clip(128 + 80 * smooth, 0, 255).astype(np.uint8)
    return prints


@pytest.fixture(scope="module")
def tracks():
    """Two tracks of each of 7 styles, the second from the same words: as alike as they come."""
    styles = list(load_styles())[::6]
    return {f"{name}/{seed}": play(name, seed, 15.0, 1) for name in styles for seed in (1, 2)}


def test_no_two_of_a_style_are_joined_and_every_copy_finds_its_own(tracks, tmp_path):
    prints = {name: fingerprint(sound, SAMPLE_RATE) for name, sound in tracks.items()}
    assert near_duplicates(prints) == []
    changes = {what: change for what, change in CHANGES.items() if "semitone" not in what}
    copied = list(tracks)[::5]
    for at, name in enumerate(copied):
        for what in list(changes)[at::3]:
            prints[f"{name} {what}"] = fingerprint(*changes[what](tracks[name], tmp_path))
    wanted = [tuple(other for other in prints if other.startswith(name)) for name in copied]
    assert near_duplicates(prints) == wanted


def test_groups_come_in_the_order_given_and_the_same_each_time():
    prints = made_up(40, 150)
    prints = {"late": prints["t0007"][20:], **prints, "last": prints["t0003"][:-10]}
    groups = near_duplicates(prints)
    assert groups == [("late", "t0007"), ("t0003", "last")]
    assert near_duplicates(dict(reversed(prints.items()))) == [("last", "t0003"), ("t0007", "late")]


def test_what_is_like_two_joins_them():
    first, second = made_up(2, 300).values()
    both = np.concatenate([first[100:], second[:200]])
    assert near_duplicates({"a": first, "b": second}) == []
    assert near_duplicates({"a": first, "b": second, "c": both}) == [("a", "b", "c")]


def test_short_and_silent_ones_are_left_alone():
    short = next(iter(made_up(1, 70).values()))
    assert near_duplicates({"a": short, "b": short, "c": NO_SOUND, "d": NO_SOUND}) == []
    assert near_duplicates({}) == []


def test_many_copies_of_one_are_one_group():
    (one,) = made_up(1, 300).values()
    copies = {f"copy{number}": one[number : 280 + number] for number in range(20)}
    assert near_duplicates(copies) == [tuple(copies)]


def test_a_thousand_tracks_take_seconds():
    prints = made_up(1000, 300)
    prints["copy"] = prints["t0500"][30:]
    start = time.process_time()
    assert near_duplicates(prints) == [("t0500", "copy")]
    assert time.process_time() - start < 30  # 3 s on a quiet machine


def good(name: str, sound: np.ndarray = NO_SOUND, **changes) -> Good:
    fields = {
        "source": name,
        "sha256": f"bytes of {name}",
        "audio_sha256": f"sound of {name}",
        "quality_score": 90.0,
        "duration_sec": 60.0,
        "human_verified": False,
        "fingerprint": sound,
    }
    return Good(**{**fields, **changes})


def test_exact_duplicates_are_refused_after_the_first_even_where_near_ones_are_kept():
    tracks = [good("a", sha256="x"), good("b", sha256="x"), good("c", audio_sha256="sound of a")]
    for keep in (False, True):
        verdicts = judge_twins(tracks, keep_near=keep)
        assert [verdict.reason for verdict in verdicts] == [
            "", "same content as 'a'", "same sound as 'a'",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("better", "why"),
    [
        ({"human_verified": True, "quality_score": 50}, "somebody has listened to that one"),
        ({"quality_score": 93.5}, "its quality score is 93.5, this one's 90"),
        ({"duration_sec": 62, "quality_score": 89}, "it lasts 62.0 s, this one 60.0 s"),
        ({"duration_sec": 59.5, "quality_score": 91}, "its quality score is 91, this one's 90"),
    ],
)
def test_the_best_near_duplicate_enters_and_the_others_say_why_not(better, why):
    (sound,) = made_up(1, 200).values()
    first, second, other = judge_twins(
        [good("a", sound), good("b", sound, **better), good("c")], keep_near=False
    )
    assert first.reason == f"near duplicate of 'b', which is kept: {why}"
    assert (second.reason, second.group, other.group) == ("", (0, 1), ())


def test_of_equals_the_first_enters_and_all_do_where_the_recipe_keeps_them():
    (sound,) = made_up(1, 200).values()
    tracks = [good("a", sound), good("b", sound)]
    refused = judge_twins(tracks, keep_near=False)
    assert [verdict.reason for verdict in refused] == [
        "", "near duplicate of 'a', which is kept: it comes first",
    ]  # fmt: skip
    kept = judge_twins(tracks, keep_near=True)
    assert [(verdict.reason, verdict.group) for verdict in kept] == [("", (0, 1)), ("", (0, 1))]


def test_two_files_of_one_name_are_told_apart():
    first, second = judge_twins([good("music/a.wav"), good("music/a.wav", sha256="other",
        audio_sha256="other sound")], keep_near=False)  # fmt: skip
    assert (first.reason, second.reason) == ("", "")
