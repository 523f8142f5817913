from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.measuring.clip_sets import RenderedClips, reference_tracks
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from tests.support.finished_data import write_data

FACTS = ClipFacts(prompt="lofi, rain", style="CORE-01", seed=1)


def sound(seed):
    return 0.1 * np.random.default_rng(seed).standard_normal((2, 4800)).astype(np.float32)


def test_rendered_clips_come_back_as_they_were_added(tmp_path):
    clips = RenderedClips("int8", tmp_path / "int8")
    for number in (2, 1):
        clips.add(f"000{number}", sound(number), FACTS)
    assert (clips.label, clips.names) == ("int8", ("0001", "0002"))
    clip = clips.clip("0002")
    assert np.array_equal(clip.samples, sound(2))
    assert (clip.sample_rate, clip.facts, clips.facts("0002")) == (48_000, FACTS, FACTS)


def test_equal_sounds_have_equal_hashes_wherever_they_are_kept(tmp_path):
    clips = RenderedClips("int8", tmp_path)
    clips.add("a", sound(1), FACTS)
    first = clips.content_hash()
    assert first == ClipsInMemory("x", [Clip("a", sound(1), 48_000)]).content_hash()
    clips.add("b", sound(2), FACTS)
    assert clips.content_hash() != first


def test_the_reference_is_what_the_split_holds_out(tmp_path):
    data = write_data(tmp_path)
    tracks = reference_tracks(data.curate, data.split)
    assert (tracks.label, tracks.names, tracks.durations_sec) == (
        "the held-out tracks", ("snow",), [4.0],
    )  # fmt: skip
    clip = tracks.clip("snow")
    assert (clip.samples.shape, clip.sample_rate) == ((2, 48_000 * 4), 48_000)
    assert clip.facts == ClipFacts(style="CORE-01")
    assert tracks.content_hash() == ClipsInMemory("x", [clip]).content_hash()


def test_a_damaged_track_is_named(tmp_path):
    data = write_data(tmp_path)
    (data.curate / "tracks" / "snow.flac").write_bytes(b"fLaC")
    with pytest.raises(MetricError, match=r"^the held-out tracks: snow: tracks/snow\.flac: "):
        reference_tracks(data.curate, data.split).clip("snow")
