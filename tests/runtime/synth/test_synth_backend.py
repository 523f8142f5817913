from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.backend import SAMPLE_RATE, Backend, Request
from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.synth import VERSION, ProceduralBackend


def quiet(stage, done, total):
    pass


def test_it_is_a_backend_with_its_limits():
    backend: Backend = ProceduralBackend()
    assert backend.type == "procedural"
    assert backend.model_version == f"procedural {VERSION}"
    assert (backend.min_duration_sec, backend.max_duration_sec) == (5, 600)


def test_the_answer_has_exactly_the_length_asked_for_and_repeats():
    request = Request(
        prompt="rainy night coding", duration_sec=5, seed=2**53 - 1, style="SEASON-06"
    )
    first = ProceduralBackend().generate(request, quiet)
    assert first.samples.shape == (2, 5 * SAMPLE_RATE)
    assert first.samples.dtype == np.float32
    assert first.warnings == ()
    np.testing.assert_array_equal(
        ProceduralBackend().generate(request, quiet).samples, first.samples
    )


def test_progress_goes_through_compose_render_and_mix():
    stages = []
    ProceduralBackend().generate(
        Request(prompt="x", duration_sec=5, seed=1), lambda stage, done, total: stages.append(stage)
    )
    assert list(dict.fromkeys(stages)) == ["compose", "render", "mix"]


@pytest.mark.parametrize("at", ["compose", "render", "mix"])
def test_a_cancelled_request_stops_at_the_next_part(at):
    later = []

    def cancel(stage, done, total):
        later.append(stage)
        if stage == at:
            raise GenerationCancelled("cancelled")

    with pytest.raises(GenerationCancelled):
        ProceduralBackend().generate(Request(prompt="x", duration_sec=5, seed=1), cancel)
    assert later.count(at) == 1
    assert later[-1] == at


@pytest.mark.parametrize("lyrics", ["", "[inst]", "Instrumental", " [INSTRUMENTAL]\n"])
def test_lyrics_that_ask_for_an_instrumental_are_not_called_ignored(lyrics):
    request = Request(prompt="x", duration_sec=5, seed=1, lyrics=lyrics)
    assert ProceduralBackend().generate(request, quiet).warnings == ()


def test_what_it_cannot_do_is_said():
    audio = ProceduralBackend().generate(
        Request(prompt="x", duration_sec=5, seed=1, lyrics="[Verse]\nla la", style="CORE-99"), quiet
    )
    assert audio.warnings == (
        "lyrics ignored: nobody sings in this track; ask for female or male vocals",
        "style 'CORE-99' is unknown to the procedural synthesiser; ignored",
    )


def test_lyrics_are_sung_as_vowels_and_that_is_said():
    request = Request(prompt="female vocals", duration_sec=5, seed=1, lyrics="la la")
    audio = ProceduralBackend().generate(request, quiet)
    assert audio.warnings == (
        "lyrics: the procedural synthesiser sings their vowels, not the words",
    )
