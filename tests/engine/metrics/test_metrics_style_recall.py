from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.style_recall import StyleRecall
from tests.support.styled_clips import PlaceEmbedding, clip_at, clips_at, scattered, silent

DIMENSIONS = 6
CENTRES = {
    "JAZZ": [5, 0, 0, 0, 0, 0],
    "RAIN": [0, 5, 0, 0, 0, 0],
    "WIND": [0, 0, 5, 0, 0, 0],
}


def _set(label, seed, centres=CENTRES, clips=8, spread=1.0, seeds=True):
    places = scattered(np.random.default_rng(seed), centres, clips, spread)
    return clips_at(label, places, seeds=seeds)


def _real(clips=12):
    return _set("real", 99, clips=clips, seeds=False)


def _measure(judged, training, **options):
    (figure,) = StyleRecall(PlaceEmbedding(DIMENSIONS), **options).measure(judged, training, silent)
    return figure


def test_recall_is_the_mean_over_styles_of_the_share_heard_as_their_own():
    places = {style: [CENTRES[style]] * 4 for style in CENTRES}
    places["RAIN"] = [CENTRES["RAIN"]] * 6 + [CENTRES["JAZZ"]] * 2
    places["WIND"] = [CENTRES["WIND"]] * 2 + [CENTRES["JAZZ"], CENTRES["RAIN"]]
    noise = np.random.default_rng(1)
    places = {
        style: [np.array(place) + 0.3 * noise.normal(size=DIMENSIONS) for place in of_style]
        for style, of_style in places.items()
    }
    figure = _measure(clips_at("ours", places), _real())

    assert figure.value == pytest.approx((1 + 6 / 8 + 2 / 4) / 3)
    assert figure.interval.low < figure.value < figure.interval.high
    assert figure.interval.resamples == 2000
    assert {name for name, hit in figure.each.items() if not hit} == {
        "RAIN-6",
        "RAIN-7",
        "WIND-2",
        "WIND-3",
    }
    assert figure.details["confusions"] == [
        {"style": "RAIN", "heard": "JAZZ", "clips": 2},
        {"style": "WIND", "heard": "JAZZ", "clips": 1},
        {"style": "WIND", "heard": "RAIN", "clips": 1},
    ]
    table = figure.details["styles"]
    assert [table[style]["recall"] for style in CENTRES] == [1, 0.75, 0.5]
    assert table["RAIN"]["clips"] == 8
    assert table["RAIN"]["low"] < 0.75 < table["RAIN"]["high"] < 1
    assert table["JAZZ"]["training_recall"] == 1
    assert figure.details["chance"] == pytest.approx(1 / 3)
    assert figure.details["training_recall"] == 1
    assert figure.details["training_chance_p"] == 0.001
    assert figure.details["folds"] == 5
    assert figure.details["training_clips"] == 36
    assert (figure.n, figure.counted, figure.against) == (16, "clips", "real")
    assert figure.embedding == "place-v1"


def test_where_every_clip_is_heard_right_the_interval_is_no_point():
    figure = _measure(_set("ours", 1), _real())
    assert figure.value == 1
    assert figure.interval.low == pytest.approx(24 / (24 + 1.959964**2))
    assert (figure.interval.high, figure.interval.resamples) == (1, 0)
    assert figure.details["interval"] == "Wilson score: all clips fare alike, redrawn or not"


def test_a_generator_that_makes_one_style_alone_is_heard_at_chance():
    one_style = dict.fromkeys(CENTRES, CENTRES["RAIN"])
    figure = _measure(_set("ours", 1, one_style), _real())
    assert figure.value == pytest.approx(1 / 3)
    assert figure.details["styles"]["RAIN"]["recall"] == 1
    assert {(c["style"], c["heard"], c["clips"]) for c in figure.details["confusions"]} == {
        ("JAZZ", "RAIN", 8),
        ("WIND", "RAIN", 8),
    }


def test_a_style_of_many_training_clips_is_not_heard_for_that():
    places = scattered(np.random.default_rng(3), CENTRES, 6, 2.0)
    places["RAIN"] = scattered(np.random.default_rng(4), CENTRES, 60, 2.0)["RAIN"]
    uneven = clips_at("real", places, seeds=False)
    between = {"JAZZ": [2.5, 2.5, 0, 0, 0, 0], "RAIN": [2.5, 2.5, 0, 0, 0, 0]}
    figure = _measure(_set("ours", 5, between, clips=40), uneven)
    recalls = [figure.details["styles"][style]["recall"] for style in ("JAZZ", "RAIN")]
    assert abs(recalls[0] - recalls[1]) < 0.5


def test_worse_heard_styles_are_worse_by_more_than_chance():
    blurred = {style: 0.2 * np.array(centre) for style, centre in CENTRES.items()}
    metric = StyleRecall(PlaceEmbedding(DIMENSIONS))
    (found,) = metric.compare(_set("blurred", 1, blurred), _set("clear", 1), _real(), silent)
    assert found.value == pytest.approx(found.first.value - 1)
    assert found.is_worse
    assert found.interval.low <= found.value <= found.interval.high < 0
    assert found.n == 24


def test_the_same_seed_gives_the_same_figure():
    ours = _set("ours", 1, spread=3)
    assert _measure(ours, _real(), seed=5) == _measure(ours, _real(), seed=5)


def test_without_a_training_set_it_says_what_to_do():
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1), None)
    assert str(refused.value) == (
        "style-recall: no reference set - name a second folder to hold the first against"
    )


def test_a_training_set_that_tells_nothing_is_refused():
    same = dict.fromkeys(CENTRES, [0] * DIMENSIONS)
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1), _set("real", 97, same, clips=12, seeds=False))
    assert str(refused.value) == (
        "real: a classifier tells its 3 styles apart no better than chance: recall 0.28 of clips "
        "held out, 0.33 by guessing (p = 0.79) - label more clips, or use another embedding"
    )


def test_a_judged_clip_that_was_trained_on_is_refused_by_name():
    ours, real = _set("ours", 1), _real()
    names = ours.names
    clips = [ours.clip(name) for name in names]
    clips[2] = Clip(names[2], real.clip("RAIN-7").samples, 1000, ours.facts(names[2]))
    # A copy in another format lies about nowhere from it, not quite at it.
    noise = np.random.default_rng(1).normal(size=(1, 2048)).astype(np.float32)
    copy = real.clip("WIND-1").samples + 1e-4 * noise
    clips[3] = Clip(names[3], copy, 1000, ours.facts(names[3]))
    with pytest.raises(MetricError) as refused:
        _measure(ClipsInMemory("ours", clips), real)
    assert str(refused.value) == (
        "ours: the classifier would be asked what it was told: JAZZ-2 (as RAIN-7), "
        "JAZZ-3 (as WIND-1) of real - train it on clips that are not judged"
    )


def test_the_training_set_itself_is_refused():
    with pytest.raises(MetricError) as refused:
        _measure(_real(), _real())
    assert str(refused.value) == (
        "real: the classifier would be asked what it was told: JAZZ-0 (as JAZZ-0), "
        "JAZZ-1 (as JAZZ-1), JAZZ-10 (as JAZZ-10) and 33 more of real - "
        "train it on clips that are not judged"
    )


def test_a_training_set_generated_from_the_same_prompts_and_seeds_is_refused():
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1), _set("base", 2))
    assert str(refused.value) == (
        "ours: generated from the same prompt and seed as clips of base: JAZZ-0 (as JAZZ-0), "
        "JAZZ-1 (as JAZZ-1), JAZZ-2 (as JAZZ-2) and 21 more - "
        "train the classifier on labelled recordings, never on a model's output"
    )


def test_a_style_that_was_never_learned_is_refused():
    centres = {"JAZZ": CENTRES["JAZZ"], "SNOW": [0] * DIMENSIONS, "ICE": [1] * DIMENSIONS}
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1, centres), _real())
    assert str(refused.value) == (
        "ours: no clips of ICE, SNOW to learn from in real - "
        "add labelled clips of these styles, or leave the styles out"
    )


def test_the_same_sound_twice_in_training_is_refused():
    real = _real()
    twice = [real.clip(name) for name in real.names]
    twice.append(Clip("WIND-copy", real.clip("WIND-3").samples, 1000, ClipFacts(style="WIND")))
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1), ClipsInMemory("real", twice))
    assert str(refused.value) == (
        "real: the same sound twice: WIND-3 and WIND-copy - "
        "keep one of each: what is learned from one gives the other away"
    )


def test_too_few_clips_of_a_style_are_refused_in_either_set():
    few = ClipsInMemory("few", [clip_at(f"{s}-{n}", [n], s) for s in CENTRES for n in range(3)])
    message = "few: JAZZ has 3, RAIN has 3, WIND has 3; at least 4 clips of each style are needed"
    for judged, training in ((few, _real()), (_set("ours", 1), few)):
        with pytest.raises(MetricError, match=message):
            _measure(judged, training)
