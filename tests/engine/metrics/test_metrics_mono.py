"""The mean of all channels, for listeners with one ear."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.mono import folded_to_mono, mono_at
from lofi_engine.metrics.tempo_key import KeyAgreement, TempoAgreement
from lofi_engine.metrics.windows import cut_windows
from tests.support.clip_sets import quiet
from tests.support.styled_clips import PlaceEmbedding

RATE = 8_000
LEFT = np.sin(2 * np.pi * 200 * np.arange(6 * RATE) / RATE).astype(np.float32)


def clip(left, right):
    return Clip("rain", np.stack([left, right]), RATE, ClipFacts("74 bpm, A minor"))


def test_it_is_the_mean_of_the_channels():
    np.testing.assert_array_equal(folded_to_mono(clip(LEFT, 0 * LEFT))[0], LEFT / 2)
    assert mono_at(clip(LEFT, LEFT), 16_000).shape == (12 * RATE,)
    one = Clip("faint", 1e-5 * LEFT[None], RATE)
    np.testing.assert_array_equal(folded_to_mono(one), one.samples)


def test_channels_that_cancel_out_are_refused():
    with pytest.raises(MetricError) as caught:
        folded_to_mono(clip(LEFT, -LEFT))
    assert str(caught.value) == (
        "rain: its channels cancel out in mono, which is what is listened to"
        " - leave it out, or turn one channel's phase round"
    )


def test_no_metric_takes_what_cancels_out_for_silence():
    takes = ClipsInMemory("takes", [clip(LEFT, -LEFT)])
    for metric in (TempoAgreement(), KeyAgreement()):
        with pytest.raises(MetricError, match="takes: rain: its channels cancel out in mono"):
            metric.measure(takes, None, quiet)
    with pytest.raises(MetricError, match="rain: its channels cancel out in mono"):
        cut_windows(takes.clip("rain"), PlaceEmbedding(2))
