from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.embedded import check_spread, embed_set
from tests.support.metric_clips import (
    RATE,
    LinearEmbedding,
    noise_clip,
    noise_set,
    set_of,
    silent_report,
    vector_set,
)


class Answering(LinearEmbedding):
    """Gives what the test wants."""

    def __init__(self, answer, **options):
        super().__init__(**options)
        object.__setattr__(self, "answer", answer)

    def embed(self, windows):
        return self.answer(windows)


def refusal(clips, embedding=None):
    with pytest.raises(MetricError) as caught:
        embed_set(clips, embedding or LinearEmbedding(), silent_report)
    return str(caught.value)


def test_every_window_of_every_clip_is_embedded_once():
    clips = set_of("A", noise_clip("b", 1, duration_sec=3.0), noise_clip("a", 2, duration_sec=1.2))
    embedded = embed_set(clips, LinearEmbedding(), silent_report)
    assert embedded.names == ("a", "b")
    assert [len(embedded.vectors[name]) for name in embedded.names] == [1, 5]
    assert (embedded.windows, embedded.dimensions) == (6, 4)
    assert embedded.stacked().shape == (6, 4)
    np.testing.assert_array_equal(embedded.stacked()[0], embedded.vectors["a"][0])


def test_the_set_carries_what_a_figure_must_say():
    clips = noise_set("takes")
    embedded = embed_set(clips, LinearEmbedding(), silent_report)
    assert embedded.label == "takes"
    assert embedded.content_hash == clips.content_hash()
    assert embedded.embedding_name == "linear-test"
    assert (embedded.window_sec, embedded.hop_sec) == (1.0, 0.5)
    assert embedded.format == SoundFormat(RATE, 1)


def test_progress_is_reported_after_every_clip():
    heard = []
    embed_set(noise_set(count=3), LinearEmbedding(), lambda *report: heard.append(report))
    assert heard == [(1, 3, "c0"), (2, 3, "c1"), (3, 3, "c2")]


def test_vectors_are_float64_whatever_the_model_answers():
    answering = Answering(lambda windows: windows[:, 0, :4].astype(np.float32))
    embedded = embed_set(noise_set(), answering, silent_report)
    assert embedded.stacked().dtype == np.float64


def test_a_bad_clip_is_refused_with_its_set():
    silent = Clip("hush", np.zeros((1, 2 * RATE), np.float32), RATE)
    assert refusal(set_of("A", noise_clip(), silent)).startswith("A: hush: silent")
    short = noise_clip("short", duration_sec=0.5)
    assert refusal(set_of("A", noise_clip(), short)).startswith(
        "A: short: 0.50 s, shorter than the 1 s window of linear-test - leave it out"
    )
    stereo = noise_clip("wide", channels=2)
    assert refusal(set_of("A", noise_clip(), stereo)).startswith("A: wide: 8000 Hz stereo, but A")
    assert refusal(set_of("A")).startswith("A: no clips")


def test_a_model_that_gives_nan_is_refused():
    answering = Answering(lambda windows: np.full((len(windows), 4), np.nan))
    assert refusal(noise_set(), answering) == (
        "A: c0: linear-test gave NaN or infinity - the model is damaged: use another"
    )


def test_a_model_that_gives_other_shapes_than_it_says_is_refused():
    answering = Answering(lambda windows: np.zeros((len(windows), 3)))
    assert refusal(noise_set(), answering) == (
        "A: c0: linear-test gave vectors of shape (11, 3), not (11, 4)"
        " - the model does not fit its own description: use another"
    )


def collapsed(windows):
    return np.array([1.0, 2.0, 3.0, 4.0]) + 1e-3 * windows[:, 0, :4]


def test_a_collapsed_model_is_refused():
    assert refusal(noise_set(), Answering(collapsed)) == (
        "A: linear-test gives all 66 windows of 6 clips nearly the same vector"
        " - the model is collapsed, or every clip is a copy of one: use another of either"
    )


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1.0, 1e200])
def test_collapse_is_told_at_any_scale(scale):
    alike = vector_set([np.full((3, 4), scale), np.full((2, 4), scale)])
    with pytest.raises(MetricError, match="nearly the same vector"):
        check_spread(alike)
    if scale:
        check_spread(vector_set([np.eye(4) * scale, -np.eye(4) * scale]))


@pytest.mark.parametrize(("cosine", "is_refused"), [(0.9999, True), (0.9997, False)])
def test_collapsed_means_cosines_above_0_9998(cosine, is_refused):
    side = np.sqrt((1 - cosine) / (1 + cosine))  # the tangent of half the angle
    vectors = vector_set([np.array([[1.0, side]]), np.array([[1.0, -side]])])
    if is_refused:
        with pytest.raises(MetricError):
            check_spread(vectors)
    else:
        check_spread(vectors)


def test_one_clip_alone_may_sound_the_same_throughout():
    check_spread(vector_set([np.ones((9, 4))]))
