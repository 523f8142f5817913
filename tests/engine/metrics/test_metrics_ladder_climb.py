"""The climb itself, with metrics of a line whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipsInMemory
from lofi_engine.metrics.figures import HIGHER
from lofi_engine.metrics.ladder.climb import (
    NOTHING,
    OTHER_CLIPS,
    SAME_CLIPS,
    climb_ladder,
)
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.ladder.page import ladder_page
from lofi_engine.metrics.ladder.sets import DegradedClips, SomeClips, halves
from lofi_engine.metrics.ladder.synthesised import synthesise_clips
from lofi_engine.metrics.ladder.table import as_json, false_claims, table_rows
from lofi_engine.metrics.ladder.verdicts import BLIND, RANKED, Verdict
from lofi_engine.metrics.protocol import Needs
from tests.support.ladder_metrics import StandInMetric, error_power, high_power, noisy_tones

NOISE = (DEGRADATIONS["noise"],)


def _quiet(_done, _total, _name):
    pass


def _climb(metric, degradations=NOISE, clips=None):
    return climb_ladder([metric], clips or noisy_tones(12), _quiet, degradations=degradations)


def test_a_metric_that_measures_the_error_ranks_noise_from_the_mildest_level():
    ladder = _climb(StandInMetric(error_power, frozenset({"noise"})))
    (climb,) = ladder.climbs
    assert climb.verdict == Verdict(RANKED, 50)
    assert climb.claimed
    assert climb.held_against == SAME_CLIPS
    assert climb.undegraded.value == 0
    assert [rung.level for rung in climb.rungs] == [50, 40, 30, 20, 10]
    values = [rung.difference.first.value for rung in climb.rungs]
    assert values[1:] == pytest.approx([10 * value for value in values[:-1]], rel=1e-3)
    assert not list(false_claims(ladder))


def test_a_metric_that_hears_nothing_is_blind_and_its_claim_is_called_false():
    ladder = _climb(StandInMetric(lambda judged, reference: 1.0, frozenset({"noise", "tempo"})))
    assert [climb.verdict for climb in ladder.climbs] == [Verdict(BLIND)]
    assert list(false_claims(ladder)) == [
        "stand-in claims to rank noise: blind (no level is told from the undegraded)"
    ]
    assert table_rows(ladder) == [["metric", "noise"], ["stand-in", "blind !"]]


def test_a_degradation_not_claimed_is_shown_and_no_failure():
    ladder = _climb(StandInMetric(lambda judged, reference: 1.0))
    assert ladder.false_claims == ()
    assert table_rows(ladder)[1] == ["stand-in", "blind"]


def test_the_wrong_way_is_no_ranking():
    ladder = _climb(StandInMetric(error_power, frozenset({"noise"}), better=HIGHER))
    assert ladder.climbs[0].verdict.word == "misordered"
    assert ladder.climbs[0].is_false_claim


def test_a_metric_of_sets_is_held_against_clips_it_does_not_share():
    seen = []

    def value(judged, reference):
        seen.append(float(np.abs(reference).max()))
        return high_power(judged, reference)

    clips = noisy_tones(12)
    metric = StandInMetric(value, frozenset({"noise"}), needs=Needs(reference=True))
    (climb,) = _climb(metric, clips=clips).climbs
    assert climb.held_against == OTHER_CLIPS
    assert climb.verdict.word == RANKED
    first_of_the_others = float(np.abs(clips.clip("clip 01").samples).max())
    assert set(seen) == {first_of_the_others}


def test_a_metric_without_a_reference_gets_none():
    metric = StandInMetric(high_power, frozenset({"noise"}), needs=Needs())
    (climb,) = _climb(metric).climbs
    assert (climb.held_against, climb.verdict.word) == (NOTHING, RANKED)


def test_a_level_that_a_metric_refuses_is_shown_as_refused_and_the_others_are_judged():
    quiet = noisy_tones(4)
    crushed = (DEGRADATIONS["quantization"],)
    metric = StandInMetric(error_power, refuses=lambda samples: len(np.unique(samples)) < 30)
    ladder = _climb(metric, crushed, quiet)
    (climb,) = ladder.climbs
    assert climb.verdict == Verdict(RANKED, 12)
    assert climb.rungs[-1].difference is None
    assert "clip 00: refused" in climb.rungs[-1].refused
    assert "| 4: refused |" in ladder_page(ladder, "make it")
    assert as_json(ladder)["climbs"][0]["levels"][-1]["refused"].endswith("clip 00: refused - none")


def test_what_a_metric_refuses_before_anything_is_degraded_ends_the_climb():
    with pytest.raises(MetricError, match="tones, first half: clip 00: refused"):
        _climb(StandInMetric(error_power, refuses=lambda samples: True))


def test_a_metric_of_latents_and_an_unknown_claim_are_refused():
    with pytest.raises(MetricError, match="stand-in: needs latents"):
        _climb(StandInMetric(error_power, needs=Needs(reference=True, latents=True)))
    with pytest.raises(MetricError, match="stand-in: claims to see low-pass filters"):
        _climb(StandInMetric(error_power, frozenset({"low-pass filters"})))


def test_halves_share_no_clip_and_an_odd_one_is_left_out():
    first, second = halves(noisy_tones(5))
    assert first.names == ("clip 00", "clip 02")
    assert second.names == ("clip 01", "clip 03")
    assert first.content_hash() != second.content_hash()
    with pytest.raises(MetricError, match="tones: one clip cannot be parted in two"):
        halves(noisy_tones(1))


def test_degraded_clips_are_pairs_of_the_good_ones_without_their_latents():
    good = noisy_tones(2)
    clip = good.clip("clip 00")
    with_latents = ClipsInMemory("kept", [Clip(**{**vars(clip), "latents": np.zeros((8, 16, 4))})])
    worse = DegradedClips(with_latents, DEGRADATIONS["noise"], 20, seed=0)
    assert worse.label == "kept (noise, 20 dB SNR)"
    assert worse.names == ("clip 00",)
    assert worse.clip("clip 00").latents is None
    assert worse.clip("clip 00").samples.shape == clip.samples.shape
    assert worse.content_hash() != with_latents.content_hash()


def test_no_two_clips_get_the_same_noise_and_one_clip_gets_the_same_at_every_level():
    clips = noisy_tones(2)

    def noise(name, level):
        worse = DegradedClips(clips, DEGRADATIONS["noise"], level, seed=0)
        return (worse.clip(name).samples - clips.clip(name).samples)[0]

    alike = np.corrcoef(noise("clip 00", 10), noise("clip 00", 20))[0, 1]
    apart = np.corrcoef(noise("clip 00", 10), noise("clip 01", 10))[0, 1]
    assert alike > 0.999
    assert abs(apart) < 0.03


def test_some_clips_of_a_set_know_what_the_set_knows():
    clips = noisy_tones(3)
    some = SomeClips(clips, ["clip 02", "clip 00"], "two of them")
    assert (some.label, some.names) == ("two of them", ("clip 00", "clip 02"))
    assert some.clip("clip 02") is clips.clip("clip 02")
    assert some.facts("clip 00") == clips.facts("clip 00")


def test_synthesised_clips_put_every_style_in_both_halves_with_what_is_true_of_them():
    reported = []
    clips = synthesise_clips(
        lambda *progress: reported.append(progress), styles=3, duration_sec=5.0, seed=7
    )
    first, second = halves(clips)
    styles = [first.facts(name).style for name in first.names]
    assert styles == [second.facts(name).style for name in second.names]
    assert len(set(styles)) == 3
    assert {first.facts(name).seed for name in first.names} == {7}
    assert {second.facts(name).seed for name in second.names} == {8}
    assert "bpm" in first.facts(first.names[0]).prompt
    assert clips.clip(clips.names[0]).samples.shape == (2, 240_000)
    assert reported[-1][:2] == (6, 6)
    with pytest.raises(MetricError, match="99 styles to synthesise: there are 38"):
        synthesise_clips(_quiet, styles=99)


def test_the_page_holds_verdicts_floors_and_every_figure():
    metric = StandInMetric(error_power, frozenset({"noise"}))
    page = ladder_page(_climb(metric), "lofi-recipe ladder --markdown page.md")
    assert "Made by `lofi-recipe ladder --markdown page.md` from tones (content " in page
    assert "| stand-in | ranked, 50 dB SNR * |" in page
    assert "`stand-in` against the same clips undegraded: undegraded 0 over 6 clips" in page
    assert (
        "| noise | white noise this far under the clip's power | 50, 40, 30, 20, 10 dB SNR |"
        in (page)
    )
    assert "| noise | ranked | 50: 2.3e-07 (+" in page
    assert " | 10: 0.00229 (+" in page


def test_a_slow_metric_is_given_fewer_clips_spread_over_the_half():
    metric = StandInMetric(error_power, frozenset({"noise"}))
    clips = noisy_tones(8)
    ladder = climb_ladder(
        [metric], clips, _quiet, degradations=NOISE, most_clips={"stand-in": 2, "other": 1}
    )
    assert ladder.count == 4
    assert ladder.climbs[0].undegraded.n == 2
    assert set(ladder.climbs[0].undegraded.each) == {"clip 00", "clip 04"}
