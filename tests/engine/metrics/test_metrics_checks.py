from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import (
    FormatCheck,
    check_alike,
    check_clip,
    check_reference,
    check_set,
    listed,
    pair_names,
    read_pair,
)
from lofi_engine.metrics.clips import Clip
from tests.support.metric_clips import RATE, noise_clip, noise_set, set_of

AGAIN = " - leave it out or make it again"
CONVERT = " - pass --convert to bring every clip to the lowest sample rate and the fewest channels"


def refusal(check, *arguments):
    with pytest.raises(MetricError) as caught:
        check(*arguments)
    return str(caught.value)


def clip_of(samples):
    return Clip("rain", np.asarray(samples, np.float32), RATE)


def constant(value, channels=1):
    return np.full((channels, RATE), value)


def test_samples_of_another_full_scale_are_refused():
    samples = 20_000 * np.sin(np.arange(8000) / 10, dtype=np.float32)[None]
    with pytest.raises(MetricError) as caught:
        check_clip(Clip("loud", samples, 8000), "takes")
    assert str(caught.value) == (
        "takes: loud: peaks at 2e+04, where full scale is 1"
        " - divide its samples by what its full scale is, such as 32768"
    )
    check_clip(Clip("hot", samples / 10_000, 8000), "takes")


def test_sound_passes_down_to_the_quietest_that_counts():
    check_clip(noise_clip(level=1e-3), "A")
    check_clip(noise_clip(level=4e-4), "A")  # -68 dBFS


def test_one_sounding_frame_is_enough():
    samples = np.zeros((2, RATE))
    samples[1, 4000:4400] = np.sin(np.arange(400) / 3)
    check_clip(clip_of(samples), "A")


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.zeros((2, 0)), "no samples"),
        (constant(0.0, 2), "silent, nothing above -70 dBFS"),
        (1e-5 * np.sin(np.arange(RATE))[None], "silent, nothing above -70 dBFS"),
        (constant(0.25), "a constant 0.25 and no sound"),
        (np.array([[0.0], [-0.5]]) * np.ones(RATE), "a constant -0.5 and no sound"),
    ],
)
def test_a_clip_without_sound_is_refused_by_name(samples, expected):
    assert refusal(check_clip, clip_of(samples), "takes") == f"takes: rain: {expected}{AGAIN}"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused_with_its_place(value):
    clip = noise_clip(channels=2)
    clip.samples[1, 12_000] = value
    expected = f"A: rain: NaN or infinity at 1.50 s (sample 12000){AGAIN}"
    assert refusal(check_clip, clip, "A") == expected


def test_samples_without_channels_are_refused():
    expected = "A: rain: samples of shape (8000,) - give (channels, samples)"
    assert refusal(check_clip, clip_of(np.ones(RATE)), "A") == expected


def test_an_empty_set_is_refused():
    assert refusal(check_set, set_of("takes")) == "takes: no clips - give a folder of audio files"


def test_one_clip_is_refused_where_more_are_needed():
    check_set(set_of("takes", noise_clip()))
    assert refusal(check_set, set_of("takes", noise_clip()), 2) == (
        "takes: 1 clip (rain), at least 2 are needed"
        " - add clips: so few say nothing about others of their kind"
    )
    assert refusal(check_set, noise_set(count=5), 9).startswith(
        "A: 5 clips (c0, c1, c2 and 2 more), at least 9 are needed"
    )


def test_a_missing_reference_is_refused_and_an_empty_one_too():
    assert refusal(check_reference, "fad", None) == (
        "fad: no reference set - name a second folder to hold the first against"
    )
    assert refusal(check_reference, "fad", set_of("real")).startswith("real: no clips")
    reference = noise_set()
    assert check_reference("fad", reference) is reference


def test_different_sample_rates_are_refused_by_both_names():
    message = refusal(check_alike, noise_set("A"), noise_set("B", rate=44_100))
    assert message == f"B: c0: 44100 Hz mono, but A: c0 is 8000 Hz mono{CONVERT}"


def test_mono_against_stereo_is_refused():
    message = refusal(check_alike, noise_set("A", channels=2), noise_set("B"))
    assert message == f"B: c0: 8000 Hz mono, but A: c0 is 8000 Hz stereo{CONVERT}"


def test_a_clip_that_differs_within_its_own_set_is_refused():
    mixed = set_of("A", noise_clip("a"), noise_clip("b", channels=6))
    message = refusal(check_alike, mixed, noise_set("B"))
    assert message == f"A: b: 8000 Hz 6 channels, but A: a is 8000 Hz mono{CONVERT}"


def test_a_format_check_takes_clips_one_at_a_time():
    formats = FormatCheck()
    formats.see(noise_clip("a"), "A")
    formats.see(noise_clip("b"), "A")
    assert "B: c: 16000 Hz mono" in refusal(formats.see, noise_clip("c", rate=16_000), "B")


def test_pairs_are_clips_of_one_name():
    assert pair_names(noise_set("A", 3), noise_set("B", 3, seed=1)) == ("c0", "c1", "c2")


def test_clips_without_a_pair_are_named_three_of_them():
    first = set_of("A", *(noise_clip(name) for name in "abcde"))
    second = set_of("B", *(noise_clip(name) for name in "ex"))
    assert refusal(pair_names, first, second) == (
        "A and B: clips without a pair; only in A: a, b, c and 1 more; only in B: x"
        " - give both sets clips of the same names"
    )


def test_mismatched_seeds_are_refused_with_both():
    first = set_of("A", noise_clip("a", seed=None), noise_clip("b"))
    first = set_of("A", *(with_facts(first.clip(name), seed=1) for name in "ab"))
    second = set_of("B", with_facts(noise_clip("a"), seed=1), with_facts(noise_clip("b"), seed=2))
    assert refusal(pair_names, first, second) == (
        "A and B: seeds differ: b (1 against 2) - generate both sets with the same seeds"
    )


def test_a_seed_of_zero_is_a_seed():
    first, second = (
        set_of(label, with_facts(noise_clip(), seed=at)) for at, label in enumerate("AB")
    )
    assert "rain (0 against 1)" in refusal(pair_names, first, second)


def test_mismatched_prompts_are_refused_cut_short():
    first = set_of("A", with_facts(noise_clip(), prompt="lofi, 74 bpm"))
    second = set_of("B", with_facts(noise_clip(), prompt="rain " * 20))
    assert refusal(pair_names, first, second) == (
        'A and B: prompts differ: rain ("lofi, 74 bpm" against "rain rain rain rain rain rain rain '
        'rain…") - generate both sets with the same prompts'
    )


def test_facts_known_of_one_set_alone_do_not_part_a_pair():
    known = set_of("A", with_facts(noise_clip(), prompt="lofi", seed=3))
    assert pair_names(known, set_of("B", noise_clip())) == ("rain",)


def test_a_pair_is_cut_to_the_shorter_clip():
    first = set_of("A", noise_clip(duration_sec=2.0))
    second = set_of("B", noise_clip(duration_sec=2.09))
    one, other = read_pair(first, second, "rain")
    assert one.samples.shape == other.samples.shape == (1, 16_000)
    np.testing.assert_array_equal(other.samples, second.clip("rain").samples[:, :16_000])


def test_a_pair_of_other_lengths_is_refused():
    first = set_of("A", noise_clip(duration_sec=2.0))
    second = set_of("B", noise_clip(duration_sec=2.2))
    assert refusal(read_pair, first, second, "rain") == (
        "A: rain: 2.00 s, but 2.20 s in B - a pair may differ by 0.1 s: generate both at one length"
    )


def test_a_pair_without_sound_or_of_two_formats_is_refused():
    sound, mono = set_of("A", noise_clip(channels=2)), set_of("B", noise_clip())
    assert "B: rain: 8000 Hz mono, but A: rain is" in refusal(read_pair, sound, mono, "rain")
    silent = set_of("B", clip_of(np.zeros((2, RATE))))
    assert refusal(read_pair, sound, silent, "rain").startswith("B: rain: silent")


def test_lists_of_names_end_after_three():
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed("abcdef") == "a, b, c and 3 more"


def with_facts(clip, **facts):
    return replace(clip, facts=replace(clip.facts, **facts))
