from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.audio.decode import decode
from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.tempo_key import KeyAgreement, TempoAgreement
from lofi_runtime.synth.score import PITCH_NAMES
from tests.support.clip_sets import RATE, changed, noise_clips, quiet, synthesised
from tests.support.real_track import REAL_TRACK, needs_real_track

SCORES = (
    ("rhodes, 68 bpm, A minor", 0),
    ("piano, 76 bpm, C major", 1),
    ("jazz lofi, 84 bpm, G minor", 2),
    ("90 bpm, E minor", 3),
    ("piano, 97 bpm, Bb major", 4),
    ("rhodes, 105 bpm, F minor", 5),
)


@pytest.fixture(scope="module")
def tracks() -> ClipsInMemory:
    return ClipsInMemory("tracks", [synthesised(prompt, seed, 12.0) for prompt, seed in SCORES])


def asking(clips: ClipsInMemory, label: str, prompt) -> ClipsInMemory:
    """Give the same sound with other prompts, and other names if they are to have no pairs."""
    given = [clips.clip(name) for name in clips.names]
    return ClipsInMemory(
        label, [replace(one, facts=ClipFacts(prompt(one.facts.prompt))) for one in given]
    )


def test_the_tempo_and_key_of_known_scores_are_heard(tracks):
    tempo, error = TempoAgreement().measure(tracks, None, quiet)
    assert (tempo.metric, tempo.n, tempo.counted, tempo.better) == ("tempo", 6, "clips", "higher")
    assert tempo.value == 1.0, tempo.details["asked_and_heard"]
    assert (error.metric, error.unit, error.better) == ("tempo-error", "%", "lower")
    assert error.value < 0.2
    assert tempo.details["held_to"] == "prompts"
    assert tempo.details["no_beat"] == tempo.details["octave_errors"] == []
    (key,) = KeyAgreement().measure(tracks, None, quiet)
    assert key.value >= 5 / 6, key.details["asked_and_heard"]
    assert key.details["weights"]["fifth"] == 0.5


def test_of_many_known_scores_most_are_heard_right():
    tracks = []
    players = ("", "jazz lofi, ", "lofi house, ", "ambient lofi, ", "rhodes, ", "piano, ")
    for n in range(24):
        key = f"{PITCH_NAMES[5 * n % 12]} {('major', 'minor')[n // 6 % 2]}"
        prompt = f"{players[n % 6]}{60 + 59 * n // 23} bpm, {key}"
        tracks.append(synthesised(prompt, n + 100, 12.0))
    clips = ClipsInMemory("known", tracks)
    tempo, _ = TempoAgreement().measure(clips, None, quiet)
    (key,) = KeyAgreement().measure(clips, None, quiet)
    assert tempo.value >= 19 / 24, tempo.details["asked_and_heard"]
    assert tempo.details["share_with_octaves"] >= 21 / 24
    assert key.value >= 0.85, key.details["asked_and_heard"]
    assert key.details["relations"]["same"] >= 20


def test_octave_errors_are_reported_apart(tracks):
    doubled = asking(tracks, "doubled", lambda prompt: "150 bpm" if "76" in prompt else prompt)
    (tempo, error) = TempoAgreement().measure(doubled, None, quiet)
    assert tempo.value == pytest.approx(5 / 6)
    assert tempo.details["octave_errors"] == ["track-1"]
    assert tempo.details["share_with_octaves"] == 1.0
    assert error.each["track-1"] == pytest.approx(100 * (152 / 150 - 1), abs=0.2)


def test_clips_without_a_beat_disagree_and_are_named(tracks):
    hiss = noise_clips("hiss", count=1, seconds=8.0).clip("noise-0")
    clips = ClipsInMemory(
        "mixed", [tracks.clip("track-0"), replace(hiss, facts=ClipFacts("rain, 74 bpm"))]
    )
    tempo, error = TempoAgreement().measure(clips, None, quiet)
    assert tempo.each == {"track-0": 1.0, "noise-0": 0.0}
    assert tempo.details["no_beat"] == ["noise-0"]
    assert error.each["noise-0"] == pytest.approx(41.42, abs=0.01)


def test_prompts_that_do_not_ask_are_left_out_and_none_that_asks_is_refused(tracks):
    some = asking(tracks, "some", lambda prompt: "rain" if "76" in prompt else prompt)
    (tempo, _) = TempoAgreement().measure(some, None, quiet)
    assert (tempo.n, tempo.details["left_out"]) == (5, ["track-1"])
    none = asking(tracks, "none", lambda _: "rain")
    with pytest.raises(MetricError, match="none: no clip's prompt asks for a tempo"):
        TempoAgreement().measure(none, None, quiet)
    with pytest.raises(MetricError, match="none: no clip's prompt asks for a key"):
        KeyAgreement().measure(none, None, quiet)


def test_pairs_are_held_to_what_is_heard_in_the_reference(tracks):
    own = asking(tracks, "own", lambda _: "")
    slower = changed(
        own, "slower", lambda samples, _: DEGRADATIONS["tempo"].apply(samples, RATE, 10, 0)
    )
    same, none = TempoAgreement().measure(own, own, quiet)
    assert (same.value, none.value, same.counted) == (1.0, 0.0, "pairs")
    assert (same.against, same.reference_hash) == ("own", own.content_hash())
    (difference, error) = TempoAgreement().compare(slower, own, own, quiet)
    assert difference.is_worse
    assert difference.value == -1.0
    assert error.first.each["track-1"] == pytest.approx(100 * (1 / 0.9 - 1), abs=0.2)
    (key,) = KeyAgreement().measure(slower, own, quiet)
    assert key.value > 0.8  # played slower at the same pitch


def test_a_reference_of_other_names_leaves_the_prompts_to_say(tracks):
    music = ClipsInMemory("real", [replace(tracks.clip("track-0"), name="something else")])
    (tempo, _) = TempoAgreement().measure(tracks, music, quiet)
    assert (tempo.details["held_to"], tempo.against, tempo.reference_hash) == ("prompts", "", "")


def test_some_pairs_are_no_pairs(tracks):
    part = ClipsInMemory("part", [tracks.clip("track-0")])
    with pytest.raises(MetricError, match="clips without a pair; only in tracks: track-1"):
        TempoAgreement().measure(tracks, part, quiet)


def test_a_clip_too_short_to_be_listened_to_is_refused(tracks):
    short = changed(tracks, "short", lambda samples, _: samples[:, : 4 * RATE])
    with pytest.raises(MetricError, match=r"short: track-0: 4.00 s, too short to hear a tempo"):
        TempoAgreement().measure(short, None, quiet)


def test_a_clip_with_pitchless_pairs_is_refused():
    seconds = 6.0
    hiss = noise_clips("hiss", seconds=seconds)
    with pytest.raises(MetricError, match="hiss: no tempo is heard in any clip"):
        TempoAgreement().measure(hiss, hiss, quiet)


def test_silence_is_refused_before_it_is_listened_to(tracks):
    silent = changed(tracks, "silent", lambda samples, _: 0 * samples)
    with pytest.raises(MetricError, match="silent: track-0: silent"):
        KeyAgreement().measure(silent, None, quiet)


@needs_real_track
def test_two_thirds_of_a_real_track_have_one_tempo():
    track = decode(REAL_TRACK, keep_sec=60)
    thirds = [
        track.samples[:, n * 20 * track.sample_rate :][:, : 20 * track.sample_rate]
        for n in range(3)
    ]
    clips = [
        Clip(f"part-{n}", one, track.sample_rate, ClipFacts("90 bpm"))
        for n, one in enumerate(thirds)
    ]
    tempo, error = TempoAgreement().measure(ClipsInMemory("real", clips), None, quiet)
    assert tempo.details["share_with_octaves"] >= 2 / 3, tempo.details
    assert 0 <= error.value < 42
