from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.style_collapse import StyleCollapse
from tests.support.styled_clips import PlaceEmbedding, clip_at, clips_at, scattered, silent

BASE = {"JAZZ": [[0], [1], [2], [3]], "RAIN": [[10], [11], [12], [13]]}
DIMENSIONS = 12
STYLES = [f"S{at}" for at in range(5)]


def _centres(seed=0):
    rng = np.random.default_rng(seed)
    return {style: 2 * rng.normal(size=DIMENSIONS) for style in STYLES}


def _set(label, seed, centres=None, clips=6, spread=1.0):
    places = scattered(np.random.default_rng(seed), centres or _centres(), clips, spread)
    return clips_at(label, places)


def _measure(judged, base, dimensions=DIMENSIONS, share=0.8, **options):
    options["share"] = share
    return StyleCollapse(PlaceEmbedding(dimensions), **options).measure(judged, base, silent)


def test_styles_at_half_the_distance_keep_the_share_worked_out_by_hand():
    nearer = {"JAZZ": BASE["JAZZ"], "RAIN": [[5], [6], [7], [8]]}
    distance, diversity = _measure(clips_at("ours", nearer), clips_at("base", BASE), 1)
    # Mean squared distances 27.5 and 102.5 between clips, less 20/6 within.
    expected = ((27.5 - 20 / 6) / (102.5 - 20 / 6)) ** 0.5
    assert distance.value == pytest.approx(expected, abs=1e-4)
    assert distance.details["failed"]
    assert diversity.value == pytest.approx(1, abs=1e-4)
    assert not diversity.details["failed"]
    assert diversity.interval.low == pytest.approx(1, abs=1e-4)  # paired: the same clips of both
    assert (distance.metric, diversity.metric) == (
        "style-collapse-distance",
        "style-collapse-diversity",
    )
    assert (distance.n, distance.counted, distance.better) == (8, "pairs", "higher")
    assert (distance.judged, distance.against) == ("ours", "base")
    assert distance.embedding == "place-v1"
    assert len(distance.reference_hash) == 12


def test_styles_of_half_the_diversity_keep_a_half():
    duller = {
        style: [[(at[0] + mean) / 2] for at in BASE[style]]
        for style, mean in (("JAZZ", 1.5), ("RAIN", 11.5))
    }
    distance, diversity = _measure(clips_at("ours", duller), clips_at("base", BASE), 1)
    assert diversity.value == pytest.approx(0.5, abs=1e-4)
    assert diversity.details["failed"]
    assert diversity.details["text"] == (
        "collapsed: diversity within a style: 0.50 of base's (0.50 to 0.50), below 0.8"
    )
    assert distance.value == pytest.approx(((100.625 - 5 / 6) / (102.5 - 20 / 6)) ** 0.5, abs=1e-4)
    assert not distance.details["failed"]


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_healthy_generator_passes(seed):
    for figure in _measure(_set("ours", seed), _set("base", 100 + seed)):
        assert not figure.details["failed"]
        assert figure.details["lost"] == []
        assert figure.value == pytest.approx(1, abs=0.25)
        assert not figure.details["text"].startswith("collapsed")


def test_a_generator_that_makes_one_clip_with_small_noise_is_caught_twice():
    one_clip = {style: _centres()["S0"] for style in STYLES}
    distance, diversity = _measure(_set("ours", 1, one_clip, spread=0.1), _set("base", 2))
    assert distance.details["failed"]
    assert distance.interval.high < 0.1
    assert diversity.details["failed"]
    assert diversity.value == pytest.approx(0.1, abs=0.03)
    assert diversity.details["lost"] == STYLES


def test_styles_that_become_one_while_clips_stay_lively_are_caught_by_distance_alone():
    one_style = {style: _centres()["S0"] for style in STYLES}
    distance, diversity = _measure(_set("ours", 1, one_style), _set("base", 2))
    assert distance.details["failed"]
    assert distance.interval.high < 0.6
    assert distance.details["text"].startswith("collapsed: distance between styles: 0.")
    assert distance.details["text"].endswith(", below 0.8")
    assert not diversity.details["failed"]


def test_a_clip_for_every_style_is_caught_by_diversity_alone():
    distance, diversity = _measure(_set("ours", 1, spread=0.2), _set("base", 2))
    assert not distance.details["failed"]
    assert diversity.details["failed"]
    assert diversity.value == pytest.approx(0.2, abs=0.05)


def test_one_style_that_became_one_clip_is_caught_though_the_mean_is_well():
    rng, centres = np.random.default_rng(1), _centres()
    places = scattered(rng, centres, 6)
    places["S3"] = centres["S3"] + 0.1 * rng.normal(size=(6, DIMENSIONS))
    distance, diversity = _measure(clips_at("ours", places), _set("base", 2))
    assert diversity.value > 0.8
    assert diversity.details["lost"] == ["S3"]
    assert diversity.details["failed"]
    assert diversity.details["text"].startswith("collapsed in part: diversity within a style: 0.")
    assert diversity.details["text"].endswith(", but below 0.8 for S3")
    each = diversity.details["each"]["S3"]
    assert each["distance"] < 0.2 * each["base_distance"]
    assert not distance.details["failed"]


def test_two_styles_that_became_one_are_caught_though_the_mean_is_well():
    centres = _centres()
    centres["S1"] = centres["S0"]
    distance, _ = _measure(_set("ours", 1, centres), _set("base", 2))
    assert distance.value > 0.8
    assert distance.details["lost"] == ["S0 and S1"]
    assert distance.details["text"].endswith(", but below 0.8 for S0 and S1")


def test_clips_that_are_the_very_same_in_every_style_keep_nothing():
    samples = np.hstack([clip_at("", [at], "").samples[:, :1024] for at in (3, 8)])
    base = clips_at("base", BASE)
    copies = [Clip(name, samples, 1000, base.facts(name)) for name in base.names]
    for figure in _measure(ClipsInMemory("ours", copies), base, 1):
        assert (figure.value, figure.interval.low, figure.interval.high) == (0, 0, 0)
        assert figure.details["failed"]


def test_a_base_with_copies_gives_finite_intervals_from_the_draws_that_tell():
    base = {"JAZZ": [[0], [0], [2], [2]], "RAIN": [[10], [10], [12], [12]]}
    _, diversity = _measure(clips_at("ours", BASE), clips_at("base", base), 1)
    assert np.isfinite([diversity.interval.low, diversity.interval.high]).all()
    assert 1900 < diversity.interval.resamples < 2000


def test_the_share_to_keep_can_be_stated():
    ours, base = _set("ours", 1, spread=0.7), _set("base", 2)
    assert not _measure(ours, base, share=0.5)[1].details["failed"]
    strict = _measure(ours, base, share=0.9)[1]
    assert strict.details["failed"]
    assert strict.details["share"] == 0.9
    with pytest.raises(MetricError) as refused:
        StyleCollapse(PlaceEmbedding(1), share=80)
    assert str(refused.value) == (
        "style-collapse: a share of 80 to keep - give one above 0 and at most 1"
    )


def test_two_sets_are_compared_by_what_each_keeps_of_one_base():
    metric, base = StyleCollapse(PlaceEmbedding(DIMENSIONS), share=0.8), _set("base", 2)
    dull, lively = _set("dull", 1, spread=0.5), _set("lively", 1)
    distance, diversity = metric.compare(dull, lively, base, silent)
    assert diversity.value == pytest.approx(-0.5, abs=0.1)
    assert diversity.is_worse
    assert diversity.interval.low < diversity.value < diversity.interval.high
    assert not distance.is_worse
    assert (diversity.metric, diversity.n) == ("style-collapse-diversity", 30)
    assert diversity.first.details["failed"]
    assert not diversity.second.details["failed"]


def test_the_seed_alone_decides_the_intervals():
    ours, base = _set("ours", 1), _set("base", 2)
    assert _measure(ours, base, seed=5) == _measure(ours, base, seed=5)
    assert _measure(ours, base, seed=5)[0].interval != _measure(ours, base, seed=6)[0].interval


def test_without_a_base_it_says_what_to_do():
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1), None)
    assert str(refused.value) == (
        "style-collapse: no reference set - name a second folder to hold the first against"
    )


def test_other_seeds_than_the_bases_are_refused():
    ours, base = _set("ours", 1), _set("base", 2)
    other = {style: list(reversed(range(6))) for style in STYLES}
    moved = ClipsInMemory(
        "ours",
        [
            Clip(
                n, ours.clip(n).samples, 1000, ClipFacts(style=n[:2], seed=other[n[:2]][int(n[3])])
            )
            for n in ours.names
        ],
    )
    with pytest.raises(MetricError) as refused:
        _measure(moved, base)
    assert str(refused.value) == (
        "ours and base: seeds differ: S0-0 (5 against 0), S0-1 (4 against 1), S0-2 (3 against 2) "
        "and 27 more - generate both sets with the same seeds"
    )


def test_a_base_whose_styles_do_not_differ_has_nothing_to_lose():
    same = {style: np.zeros(DIMENSIONS) for style in STYLES}
    with pytest.raises(MetricError) as refused:
        _measure(_set("ours", 1), _set("base", 2, same))
    assert str(refused.value) == (
        "base: the base's own styles lie no farther apart than chance, so there is nothing to "
        "lose - give more clips of each style, or use another embedding"
    )


def test_a_base_that_makes_one_clip_of_a_style_has_nothing_to_lose():
    base = {**BASE, "RAIN": [[10]] * 4}
    with pytest.raises(MetricError) as refused:
        _measure(clips_at("ours", BASE), clips_at("base", base), 1)
    assert str(refused.value) == (
        "base: the base's clips of RAIN all sound the same, so there is nothing to lose - "
        "generate them with different seeds"
    )


def test_left_to_itself_a_drop_of_more_than_a_tenth_fails():
    ours, base = _set("ours", 1, spread=0.82, clips=40), _set("base", 2, clips=40)
    assert not _measure(ours, base)[1].details["failed"]
    distance, diversity = StyleCollapse(PlaceEmbedding(DIMENSIONS)).measure(ours, base, silent)
    assert not distance.details["failed"]
    assert diversity.details["failed"]
    assert diversity.details["text"].endswith(", below 0.9")
