from __future__ import annotations

import shutil

import numpy as np
import pytest

from lofi_engine.measuring.render import (
    QUALITY_THREADS,
    Probe,
    final_latents,
    open_unpublished,
    sounds,
    time_render,
)
from lofi_runtime.backend import Request
from lofi_runtime.errors import BackendError
from lofi_runtime.manifest import Speed
from tests.support.releases import make_release
from tests.support.tiny_bundle import make_tiny_bundle

PROBES = (Probe("lofi, rain, piano", 0), Probe("lofi, rain, piano", 1), Probe("beats, vinyl", 0))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / "graphs", manifest=False)


@pytest.fixture(scope="module")
def backend(graphs):
    return open_unpublished(graphs, make_release().pipeline, QUALITY_THREADS)


def test_graphs_without_a_manifest_are_rendered_by_the_stated_figures(backend):
    rendered = final_latents(backend, PROBES, steps=2, duration_sec=2)
    assert [one.shape for one in rendered] == [(1, 8, 16, 22)] * 3
    assert all(np.isfinite(one).all() for one in rendered)


def test_prompt_and_seed_decide_the_latents_and_nothing_else_does(graphs, backend):
    one, other, prompted = final_latents(backend, PROBES, steps=2, duration_sec=2)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, prompted)
    fresh = open_unpublished(graphs, make_release().pipeline, QUALITY_THREADS)
    again = final_latents(fresh, PROBES[:1], steps=2, duration_sec=2)[0]
    assert np.array_equal(one, again)


def test_the_steps_asked_for_are_the_steps_taken(backend):
    few, many = (
        final_latents(backend, PROBES[:1], steps=steps, duration_sec=2)[0] for steps in (1, 6)
    )
    assert not np.allclose(few, many)


def test_the_time_ratio_is_wall_time_over_audio_time_without_the_first_render(backend, monkeypatch):
    taken = []
    clock = [0.0]
    generate = backend.generate

    def timed(request, progress):
        taken.append((request.duration_sec, request.inference_steps))
        clock[0] += 100.0 if len(taken) == 1 else 2.0
        audio = generate(request, progress)
        clock[0] += 1.0  # after the decoding began
        return audio

    monkeypatch.setattr(backend, "generate", timed)
    monkeypatch.setattr("lofi_engine.measuring.render.time.perf_counter", lambda: clock[0])
    speed = time_render(backend, PROBES[0], steps=3, duration_sec=2)
    assert speed == Speed(render_time_ratio=1.5, after_time_ratio=0.5, steps=3)
    assert taken == [(1, 1), (2, 3)]


def test_latents_sound_as_the_runtime_would_have_played_them(graphs, backend):
    latents = final_latents(backend, PROBES[:2], steps=2, duration_sec=2)
    decoded = sounds(graphs, make_release().pipeline, latents, duration_sec=2)
    for probe, found in zip(PROBES[:2], decoded, strict=True):
        request = Request(prompt=probe.prompt, duration_sec=2, seed=probe.seed, inference_steps=2)
        played = backend.generate(request, lambda *_: None).samples
        assert found.shape == (2, 96_000)
        assert np.array_equal(found, played)


def test_every_probe_is_told_once_it_is_done(backend):
    told = []
    final_latents(backend, PROBES[:2], steps=1, duration_sec=1, on_probe=told.append)
    assert told == [1, 2]


def test_a_probe_s_clip_is_called_by_its_seed_and_style():
    assert Probe("lofi", 7, "CORE-01").name == "0007-core-01"
    assert Probe("lofi", 12).name == "0012"


def test_a_folder_that_lacks_a_graph_is_an_error_that_names_it(graphs, tmp_path):
    folder = shutil.copytree(graphs, tmp_path / "lacking")
    (folder / "transformer_decoder.onnx").unlink()
    backend = open_unpublished(folder, make_release().pipeline, QUALITY_THREADS)
    with pytest.raises(BackendError, match="transformer_decoder"):
        final_latents(backend, PROBES[:1], steps=1, duration_sec=1)
