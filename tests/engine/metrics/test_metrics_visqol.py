from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import ClipsInMemory
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.visqol import VisqolAudio
from tests.support.clip_sets import RATE, changed, noise_clips, quiet, synthesised
from tests.support.programs import require

IDENTITY = 4.7321
"""What Google's ViSQOL v3.3.3 gives a file against itself in audio mode (its conformance test
`castanets_identity`)."""

PROMPTS = ("rainy night, rhodes, 74 bpm", "jazz lofi, piano, 88 bpm")


@pytest.fixture(scope="module")
def music() -> ClipsInMemory:
    require("visqol")
    return ClipsInMemory("fp32", [synthesised(one, n, 3.0) for n, one in enumerate(PROMPTS)])


def degraded(clips: ClipsInMemory, name: str, level: float) -> ClipsInMemory:
    change = DEGRADATIONS[name].apply
    return changed(clips, "int8", lambda samples, _: change(samples, RATE, level, 1))


def test_the_same_sound_has_the_published_best_value(music):
    (figure,) = VisqolAudio().measure(music, music, quiet)
    assert figure.value == pytest.approx(IDENTITY, abs=1e-4)
    assert figure.details["similarity"] == pytest.approx(1.0)
    assert (figure.unit, figure.better, figure.n) == ("MOS", "higher", 2)
    assert figure.details["mode"] == "audio"


def test_more_noise_has_a_lower_value_down_to_the_lowest(music):
    values = [
        VisqolAudio().measure(degraded(music, "noise", level), music, quiet)[0].value
        for level in (50, 30, 10)
    ]
    assert IDENTITY > values[0] > values[1] > values[2]
    assert values[2] == pytest.approx(1.0, abs=0.3)


def test_a_lower_sample_rate_is_resampled_and_the_level_does_not_count(music):
    lower = ClipsInMemory(
        "44k", [replace(music.clip(name), sample_rate=44_100) for name in music.names]
    )
    quieter = changed(lower, "quieter", lambda samples, _: 0.5 * samples)
    (figure,) = VisqolAudio().measure(quieter, lower, quiet)
    assert figure.value == pytest.approx(IDENTITY, abs=1e-3)


def test_channels_that_cancel_out_are_refused(music):
    opposite = changed(music, "odd", lambda samples, _: np.stack([samples[0], -samples[0]]))
    with pytest.raises(MetricError, match="odd: track-0: its channels cancel out in mono"):
        VisqolAudio().measure(opposite, music, quiet)


def test_a_clip_under_a_second_is_refused():
    clips = noise_clips("short", seconds=0.9)
    with pytest.raises(MetricError, match=r"short: noise-0: 0.90 s, ViSQOL needs 1 s"):
        VisqolAudio().measure(clips, clips, quiet)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "visqol", None)
    clips = noise_clips("a", seconds=1.5)
    with pytest.raises(MetricError, match=r"pip install 'lofi-recipe\[visqol\]'"):
        VisqolAudio().measure(clips, clips, quiet)
