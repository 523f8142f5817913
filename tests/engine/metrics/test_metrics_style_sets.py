from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipsInMemory
from lofi_engine.metrics.style_sets import (
    check_equal_lengths,
    check_styled_pairs,
    embed_styled,
    names_by_style,
)
from tests.support.styled_clips import PlaceEmbedding, clip_at, clips_at, silent

PLACES = {"JAZZ": [[0, 1], [0, 3], [2, 1], [2, 3]], "RAIN": [[8, 1], [8, 3], [10, 1], [10, 3]]}


def _set(label, styles):
    return ClipsInMemory(
        label, [clip_at(f"clip-{at}", [at], style) for at, style in enumerate(styles)]
    )


def test_a_clip_is_the_mean_of_its_windows_and_knows_its_style():
    first, second = clip_at("JAZZ-0", [0, 1], "JAZZ"), clip_at("JAZZ-0", [4, 3], "JAZZ")
    joined = Clip("JAZZ-0", np.hstack([first.samples, second.samples]), 1000, first.facts)
    others = clips_at("ours", PLACES)
    clips = ClipsInMemory("ours", [joined, *(others.clip(name) for name in others.names[1:])])

    (styled,) = embed_styled((clips,), PlaceEmbedding(2), silent)

    assert styled.styles == ("JAZZ", "RAIN")
    assert styled.style_of.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert styled.vectors == pytest.approx(
        np.array([[2, 2], [0, 3], [2, 1], [2, 3], [8, 1], [8, 3], [10, 1], [10, 3]]), abs=1e-3
    )
    assert styled.details() == {
        "window_sec": 1.024,
        "hop_sec": 1.024,
        "windows": 18,
        "clips_by_style": {"JAZZ": 4, "RAIN": 4},
    }


def test_deviations_are_from_the_styles_own_mean():
    (styled,) = embed_styled((clips_at("ours", PLACES),), PlaceEmbedding(2), silent)
    square = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert styled.deviations == pytest.approx(np.array(square * 2), abs=1e-3)


def test_progress_counts_over_all_sets():
    seen = []
    embed_styled(
        (clips_at("ours", PLACES), clips_at("base", PLACES)),
        PlaceEmbedding(2),
        lambda *step: seen.append(step),
    )
    assert [done for done, _, _ in seen] == list(range(1, 17))
    assert {of for _, of, _ in seen} == {16}
    assert seen[0][2] == "JAZZ-0"
    assert seen[-1][2] == "RAIN-3"


@pytest.mark.parametrize(
    ("styles", "message"),
    [
        ([], "ours: no clips - give a folder of audio files"),
        (
            ["JAZZ"] * 4 + [""] * 5,
            "ours: no style is known of clip-4, clip-5, clip-6 and 2 more - "
            'give "style" for each in clips.json',
        ),
        (
            ["JAZZ"] * 8,
            "ours: all clips are JAZZ, two styles or more are needed - add clips of other styles",
        ),
        (
            ["JAZZ"] * 4 + ["RAIN"] * 3 + ["WIND"],
            "ours: RAIN has 3, WIND has 1; at least 4 clips of each style are needed - "
            "add clips, or leave these styles out",
        ),
    ],
)
def test_a_set_without_styles_enough_is_refused(styles, message):
    with pytest.raises(MetricError) as refused:
        names_by_style(_set("ours", styles))
    assert str(refused.value) == message


def test_pairs_of_other_styles_are_refused_by_name():
    ours = _set("ours", ["JAZZ"] * 4 + ["RAIN"] * 4)
    base = _set("base", ["JAZZ"] * 3 + ["RAIN"] * 4 + ["JAZZ"])
    with pytest.raises(MetricError) as refused:
        check_styled_pairs(ours, base)
    assert str(refused.value) == (
        "ours and base: styles differ: clip-3 (JAZZ against RAIN), clip-7 (RAIN against JAZZ) - "
        "generate both sets with the same prompts"
    )


def test_sets_of_two_sample_rates_are_refused_before_anything_is_embedded():
    ours, base = clips_at("ours", PLACES), clips_at("base", PLACES)
    other = ClipsInMemory(
        "base",
        [Clip(n, base.clip(n).samples, 2000, base.facts(n)) for n in base.names],
    )
    seen = []
    with pytest.raises(MetricError) as refused:
        embed_styled((ours, other), PlaceEmbedding(2), lambda *step: seen.append(step))
    assert str(refused.value) == (
        "base: JAZZ-0: 2000 Hz mono, but ours: JAZZ-0 is 1000 Hz mono - "
        "pass --convert to bring every clip to the lowest sample rate and the fewest channels"
    )
    assert not seen


def test_pairs_of_unlike_length_are_refused_by_name():
    ours = clips_at("ours", PLACES)
    longer = [
        clip_at(name, [1, at], ours.facts(name).style, windows=4)
        for at, name in enumerate(ours.names)
    ]
    styled = embed_styled((ours, ClipsInMemory("base", longer)), PlaceEmbedding(2), silent)
    with pytest.raises(MetricError) as refused:
        check_equal_lengths(*styled)
    assert str(refused.value) == (
        "ours: JAZZ-0: 2 windows, but 4 in base - generate both sets at one length"
    )
