from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lofi_engine.audio.decode import decode
from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.embedded import embed_set
from lofi_engine.metrics.embeddings.sound import SoundEmbedding
from lofi_engine.metrics.fad import FrechetAudioDistance
from lofi_engine.metrics.frechet import frechet_distance
from tests.support.metric_clips import (
    RATE,
    LinearEmbedding,
    noise_clip,
    noise_set,
    set_of,
    silent_report,
)
from tests.support.real_track import REAL_TRACK, needs_real_track

CLIPS = 12


@pytest.fixture(scope="module")
def reference():
    return noise_set("real", CLIPS, 1)


def fad(**options):
    return FrechetAudioDistance(LinearEmbedding(), **options)


def measured(judged, against, **options):
    return fad(**options).measure(judged, against, silent_report)


def refusal(judged, against, metric=None):
    with pytest.raises(MetricError) as caught:
        (metric or fad()).measure(judged, against, silent_report)
    return str(caught.value)


def with_noise(clips, level, label, seed=5):
    """Give the same clips with noise of their own added."""
    noisy = []
    for at, name in enumerate(clips.names):
        clip = clips.clip(name)
        noise = np.random.default_rng((seed, at)).standard_normal(clip.samples.shape)
        noisy.append(replace(clip, samples=(clip.samples + level * noise).astype(np.float32)))
    return set_of(label, *noisy)


def test_the_figure_is_the_distance_of_all_windows(reference):
    judged = noise_set("takes", CLIPS, 2, level=0.15)
    figure, _ = measured(judged, reference)
    vectors = [
        embed_set(clips, LinearEmbedding(), silent_report).stacked()
        for clips in (judged, reference)
    ]
    assert figure.value == pytest.approx(frechet_distance(*vectors), rel=1e-12)


def test_louder_noise_is_as_far_as_its_level_says(reference):
    # White noise of deviation 0.1 and 0.15: four dimensions, each sqrt(8000)/100 = 0.894 of it.
    judged = noise_set("takes", CLIPS, 2, level=0.15)
    _, at_infinity = measured(judged, reference)
    true = 4 * (0.05 * np.sqrt(RATE) / 100) ** 2
    assert at_infinity.interval.low < true < at_infinity.interval.high
    assert at_infinity.value == pytest.approx(true, rel=0.5)


def test_a_figure_carries_all_that_is_needed_to_trust_it(reference):
    figure, at_infinity = measured(noise_set("takes", CLIPS, 2), reference)
    assert (figure.metric, at_infinity.metric) == ("fad", "fad-infinity")
    for found in (figure, at_infinity):
        assert (found.n, found.counted, found.better) == (CLIPS * 11, "windows", "lower")
        assert (found.judged, found.against) == ("takes", "real")
        assert found.reference_hash == reference.content_hash()
        assert found.embedding == "linear-test"
        assert 0 <= found.interval.low <= found.value <= found.interval.high
        assert found.interval.drawn == "clips"
        assert (found.details["window_sec"], found.details["hop_sec"]) == (1.0, 0.5)
        assert found.details["reference_windows"] == CLIPS * 11
        assert (found.details["clips"], found.details["reference_clips"]) == (CLIPS, CLIPS)
        json.dumps(dict(found.details), allow_nan=False)
    assert (figure.interval.resamples, at_infinity.interval.resamples) == (200, 100)
    assert len(at_infinity.details["fit"]["points"]) == 4


def test_extrapolation_takes_off_what_finite_sets_add(reference):
    figure, at_infinity = measured(noise_set("takes", CLIPS, 2), reference)
    assert at_infinity.value < figure.value
    assert at_infinity.interval.low == 0.0


def test_a_set_is_at_no_distance_from_itself(reference):
    figure, at_infinity = measured(reference, reference)
    assert 0 <= figure.value < 1e-20
    assert at_infinity.value < 1e-6


def test_with_two_clips_there_is_no_extrapolation_and_it_says_why(reference):
    (figure,) = measured(noise_set("takes", 2, 2), reference)
    assert figure.details["no_infinity"] == "takes: 2 clips, at least 4 are needed"


def test_too_few_windows_are_projected_only_where_asked_for():
    embedding = LinearEmbedding(dimensions=80, name="linear-wide")
    judged, against = noise_set("takes", 6, 2), noise_set("real", 9, 1)
    metric = FrechetAudioDistance(embedding)
    assert refusal(judged, against, metric) == (
        "takes: 66 windows of 1 s for 80 dimensions, at least 160 are needed"
        " - use more or longer clips, or pass --project to look at 33 random directions of them"
    )
    projecting = FrechetAudioDistance(embedding, project=True)
    figure, at_infinity = projecting.measure(judged, against, silent_report)
    assert figure.embedding == at_infinity.embedding == "linear-wide/random-33"
    assert figure.details["dimensions"] == 33
    fixed = FrechetAudioDistance(embedding, directions=10).measure(judged, against, silent_report)
    assert fixed[0].embedding == "linear-wide/random-10"


def test_the_worse_of_two_sets_of_the_same_clips_is_told_from_the_better(reference):
    clean = noise_set("float32", CLIPS, 2)
    noisy = with_noise(clean, 0.12, "int8")
    metric = fad()
    difference, at_infinity = metric.compare(noisy, clean, reference, silent_report)
    assert difference.is_worse
    assert (difference.metric, difference.n) == ("fad", CLIPS)
    assert (difference.first.judged, difference.second.judged) == ("int8", "float32")
    assert difference.value == difference.first.value - difference.second.value > 0
    assert difference.relative == pytest.approx(difference.value / difference.second.value)
    assert at_infinity.metric == "fad-infinity"
    better, _ = metric.compare(clean, noisy, reference, silent_report)
    assert not better.is_worse
    assert better.value == -difference.value


def test_two_sets_that_differ_by_chance_are_not_told_apart(reference):
    clean = noise_set("float32", CLIPS, 2)
    one, other = (with_noise(clean, 0.01, label, seed) for label, seed in (("A", 1), ("B", 2)))
    difference, _ = fad().compare(one, other, reference, silent_report)
    assert not difference.is_worse
    assert difference.interval.low < 0 < difference.interval.high


def test_a_paired_interval_is_narrower_than_that_of_either_set(reference):
    clean = noise_set("float32", CLIPS, 2)
    noisy = with_noise(clean, 0.02, "int8")
    difference, _ = fad().compare(noisy, clean, reference, silent_report)
    paired = difference.interval.high - difference.interval.low
    alone = difference.second.interval.high - difference.second.interval.low
    assert paired < 0.5 * alone


def test_a_set_is_embedded_once_however_often_it_is_measured(reference):
    embedding = LinearEmbedding()
    metric = FrechetAudioDistance(embedding)
    judged = noise_set("takes", CLIPS, 2)
    first = metric.measure(judged, reference, silent_report)
    assert len(embedding.calls) == 2 * CLIPS
    assert metric.measure(judged, reference, silent_report) == first
    renamed = noise_set("again", CLIPS, 2)
    assert metric.measure(renamed, reference, silent_report)[0].judged == "again"
    assert len(embedding.calls) == 2 * CLIPS


def test_the_same_seed_gives_the_same_intervals(reference):
    judged = noise_set("takes", CLIPS, 2)
    first = measured(judged, reference, seed=3)
    assert measured(judged, reference, seed=3) == first
    assert measured(judged, reference, seed=4)[0].interval != first[0].interval


def test_more_dimensions_than_can_be_extrapolated_in_time_are_told(reference, monkeypatch):
    monkeypatch.setattr("lofi_engine.metrics.fad._LINE_RESAMPLES", {2: 10})
    (figure,) = measured(noise_set("takes", CLIPS, 2), reference)
    expected = "4 dimensions take too long to extrapolate: at most 2"
    assert figure.details["no_infinity"] == expected


def test_it_says_what_it_is(reference):
    assert fad().name == "fad"
    assert fad().needs.reference
    assert fad().title == "Fréchet audio distance to the reference in linear-test; lower is better"
    assert fad().sees == frozenset()


def test_it_claims_to_see_what_its_embedding_sees():
    class Seeing(LinearEmbedding):
        sees = frozenset({"noise"})

    assert FrechetAudioDistance(Seeing()).sees == {"noise"}


CONVERT = " - pass --convert to bring every clip to the lowest sample rate and the fewest channels"
SILENT = Clip("hush", np.zeros((1, 2 * RATE), np.float32), RATE)
BROKEN = Clip("broken", np.full((1, 2 * RATE), np.nan, np.float32), RATE)


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (set_of("takes"), "takes: no clips - give a folder of audio files"),
        (
            set_of("takes", noise_clip()),
            "takes: 1 clip (rain), at least 2 are needed"
            " - add clips: so few say nothing about others of their kind",
        ),
        (
            set_of("takes", noise_clip(), SILENT),
            "takes: hush: silent, nothing above -70 dBFS - leave it out or make it again",
        ),
        (
            set_of("takes", noise_clip(), BROKEN),
            "takes: broken: NaN or infinity at 0.00 s (sample 0) - leave it out or make it again",
        ),
        (
            noise_set("takes", rate=16_000),
            f"real: c0: 8000 Hz mono, but takes: c0 is 16000 Hz mono{CONVERT}",
        ),
        (
            noise_set("takes", channels=2),
            f"real: c0: 8000 Hz mono, but takes: c0 is 8000 Hz stereo{CONVERT}",
        ),
        (
            noise_set("takes", 2, duration_sec=1.9),
            "takes: 4 windows of 1 s for 4 dimensions, at least 8 are needed"
            " - use more or longer clips",
        ),
    ],
)
def test_what_would_mean_nothing_is_refused(judged, expected, reference):
    assert refusal(judged, reference) == expected


def test_copies_of_one_sound_are_no_set_and_some_copies_are_named(reference):
    copies = set_of("takes", *(noise_clip(name) for name in "abcdefgh"))
    assert refusal(copies, reference) == (
        "takes: all 8 clips are the same sound"
        " - use clips that differ: copies say nothing about others of their kind"
    )
    mixed = noise_set("takes")
    doubled = [*(mixed.clip(name) for name in mixed.names), replace(mixed.clip("c1"), name="c9")]
    figure, _ = fad().measure(set_of("takes", *doubled), reference, silent_report)
    assert figure.details["copies"] == ["c9"]
    assert figure.text.startswith("1 of 7 clips are copies of others: c9; ")


class Collapsed(LinearEmbedding):
    def embed(self, windows):
        return 1 + 1e-6 * super().embed(windows)


def test_a_collapsed_model_is_refused(reference):
    assert refusal(noise_set("takes"), reference, FrechetAudioDistance(Collapsed())) == (
        "takes: linear-test gives all 66 windows of 6 clips nearly the same vector"
        " - the model is collapsed, or every clip is a copy of one: use another of either"
    )


def test_a_missing_reference_is_refused():
    assert refusal(noise_set("takes"), None) == (
        "fad: no reference set - name a second folder to hold the first against"
    )


def test_a_format_that_differs_late_in_a_set_is_refused(reference):
    mixed = set_of("takes", noise_clip("a"), noise_clip("b", channels=2))
    assert (
        refusal(mixed, reference)
        == f"takes: b: 8000 Hz stereo, but takes: a is 8000 Hz mono{CONVERT}"
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            {"seed": 2},
            "A and B: seeds differ: c0 (1 against 2), c1 (1 against 2), c2 (1 against 2) and",
        ),
        ({"seed": 1, "prompt": "rain"}, 'A and B: prompts differ: c0 ("lofi" against "rain"), c1'),
    ],
)
def test_sets_of_other_seeds_or_prompts_are_not_compared(facts, expected, reference):
    first, second = noise_set("A"), noise_set("B")
    first = set_of("A", *(with_facts(first, name, seed=1, prompt="lofi") for name in first.names))
    second = set_of("B", *(with_facts(second, name, **facts) for name in second.names))
    with pytest.raises(MetricError) as caught:
        fad().compare(first, second, reference, silent_report)
    assert str(caught.value).startswith(expected)


def with_facts(clips, name, **facts):
    clip = clips.clip(name)
    return replace(clip, facts=replace(clip.facts, **facts))


def test_sets_without_pairs_are_not_compared(reference):
    with pytest.raises(MetricError, match="clips without a pair; only in A: c6, c7 - give both"):
        fad().compare(noise_set("A", 8), noise_set("B", 6), reference, silent_report)
    with pytest.raises(MetricError, match="fad: no reference set"):
        fad().compare(noise_set("A"), noise_set("B"), None, silent_report)


@needs_real_track
def test_real_music_is_near_itself_and_far_from_itself_in_mono():
    track = decode(REAL_TRACK)
    length = round(4.9 * track.sample_rate)
    pieces = [
        Clip(f"p{at // 2}", track.samples[:, at * length :][:, :length], track.sample_rate)
        for at in range(12)
    ]
    reference, judged = set_of("even", *pieces[::2]), set_of("odd", *pieces[1::2])
    mono = [
        replace(clip, samples=np.repeat(clip.samples.mean(axis=0, keepdims=True), 2, axis=0))
        for clip in pieces[1::2]
    ]
    metric = FrechetAudioDistance(SoundEmbedding(), project=True)
    difference, at_infinity = metric.compare(
        set_of("mono", *mono), judged, reference, silent_report
    )
    assert difference.is_worse
    assert 0 < difference.second.value < 10 < difference.first.value < 200
    assert at_infinity.second.value < difference.second.value
    assert difference.first.embedding == "lofi-sound-v1/random-6"
