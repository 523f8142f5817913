from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipsInMemory
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.spectral import LogMelDistance, MultiResolutionStft
from lofi_engine.metrics.stft import stft_distance
from tests.support.clip_sets import RATE, changed, noise_clips, quiet, synthesised

BOTH = (MultiResolutionStft, LogMelDistance)


@pytest.mark.parametrize("metric", BOTH)
def test_a_set_is_no_distance_from_itself(metric):
    clips = noise_clips("a")
    (figure,) = metric().measure(clips, clips, quiet)
    assert figure.value == 0.0
    assert (figure.n, figure.counted, figure.better) == (3, "pairs", "lower")
    assert figure.reference_hash == clips.content_hash()
    assert set(figure.each) == {"noise-0", "noise-1", "noise-2"}


def test_the_figure_is_the_mean_of_the_pairs_and_says_its_parts():
    reference = noise_clips("b")
    judged = changed(reference, "a", lambda samples, place: samples * (0.5, 1.0, 1.0)[place])
    (figure,) = MultiResolutionStft().measure(judged, reference, quiet)
    own = stft_distance(judged.clip("noise-0").samples, reference.clip("noise-0").samples)
    assert figure.value == pytest.approx(own.total / 3)
    assert figure.details["spectral_convergence"] == pytest.approx(0.5 / 3, abs=1e-6)
    assert figure.details["log_magnitude"] == pytest.approx(np.log(2) / 3, abs=1e-3)
    assert figure.details["resolutions"] == [[512, 50, 240], [1024, 120, 600], [2048, 240, 1200]]
    assert figure.interval is not None
    assert figure.interval.low <= figure.value <= figure.interval.high


def test_log_mel_distance_is_in_decibels():
    reference = noise_clips("b")
    judged = changed(reference, "a", lambda samples, _: 2 * samples)
    (figure,) = LogMelDistance().measure(judged, reference, quiet)
    assert (figure.value, figure.unit) == (pytest.approx(6.02, abs=0.01), "dB")
    assert figure.details["floor_db"] == -100.0


def test_the_report_counts_every_pair():
    clips, told = noise_clips("a"), []
    LogMelDistance().measure(clips, clips, lambda *report: told.append(report))
    assert told == [(1, 3, "noise-0"), (2, 3, "noise-1"), (3, 3, "noise-2")]


def test_a_worse_set_is_told_from_a_better_one():
    reference = noise_clips("real")
    better = changed(reference, "better", lambda samples, place: samples * (1.05 + 0.01 * place))
    worse = changed(reference, "worse", lambda samples, place: samples * (1.5 + 0.01 * place))
    (difference,) = LogMelDistance().compare(worse, better, reference, quiet)
    assert difference.is_worse
    assert difference.value == pytest.approx(3.0, abs=0.1)
    assert not LogMelDistance().compare(better, worse, reference, quiet)[0].is_worse


@pytest.mark.parametrize("metric", BOTH)
def test_claims_hold_on_synthesised_tracks(metric):
    prompts = ("rainy night, rhodes, 74 bpm", "jazz lofi, piano, 88 bpm")
    reference = ClipsInMemory("b", [synthesised(one, n, 4.0) for n, one in enumerate(prompts)])
    assert metric.sees == {"quantization", "low-pass", "noise", "clipping", "buzz"}
    for name in metric.sees:
        degradation, values = DEGRADATIONS[name], [0.0]
        for level in degradation.levels[::2]:  # the ladder itself climbs them all
            judged = changed(
                reference,
                "a",
                lambda samples, _, one=degradation, at=level: one.apply(samples, RATE, at, 1),
            )
            values.append(metric().measure(judged, reference, quiet)[0].value)
        assert np.all(np.diff(values) > 0), (name, values)


@pytest.mark.parametrize("metric", BOTH)
def test_what_has_no_meaning_is_refused_by_name(metric):
    clips = noise_clips("fp32")
    with pytest.raises(MetricError, match="no reference set"):
        metric().measure(clips, None, quiet)
    with pytest.raises(MetricError, match=r"clips without a pair; only in fp32: noise-2"):
        metric().measure(noise_clips("int8", count=2), clips, quiet)
    silent = changed(clips, "int8", lambda samples, place: samples * (place != 1))
    with pytest.raises(MetricError, match="int8: noise-1: silent"):
        metric().measure(silent, clips, quiet)
    with pytest.raises(MetricError, match="only one clip"):
        metric().measure(noise_clips("a", count=1), noise_clips("b", count=1), quiet)
    short = noise_clips("short", seconds=0.01)
    with pytest.raises(MetricError, match=r"short: noise-0: 480 samples, at least 1025"):
        metric().measure(short, short, quiet)


@pytest.mark.parametrize("metric", BOTH)
def test_pairs_of_two_sample_rates_in_one_set_are_refused(metric):
    clips = noise_clips("a", count=1)
    other = Clip("other", clips.clip("noise-0").samples, 44_100)
    mixed = ClipsInMemory("a", [clips.clip("noise-0"), other])
    with pytest.raises(MetricError, match="44100 Hz stereo"):
        metric().measure(mixed, mixed, quiet)


def test_a_pair_a_little_longer_is_cut():
    reference = noise_clips("b")
    judged = changed(reference, "a", lambda samples, _: samples[:, :-1000])
    assert LogMelDistance().measure(judged, reference, quiet)[0].value < 0.01
