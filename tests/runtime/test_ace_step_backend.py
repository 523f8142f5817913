"""The backend over real ONNX graphs that keep the contract."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.backends import make_ace_step
from lofi_runtime.bundle import MANIFEST_NAME, Bundle, open_bundle
from lofi_runtime.errors import BackendError, BundleError, GenerationCancelled
from lofi_runtime.sources import BackendChoice
from tests.support.tiny_bundle import NAME, make_tiny_bundle, write_manifest

RUNTIME = Path(__file__).parents[2] / "runtime"
REQUEST = Request("lofi rain, piano", duration_sec=2, seed=42, inference_steps=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / NAME)


@pytest.fixture(scope="module")
def backend(folder):
    return AceStepBackend(open_bundle(folder), threads=1)


def quiet(_stage, _done, _total):
    pass


def sound(backend, **changes):
    return backend.generate(replace(REQUEST, **changes), quiet).samples


def test_a_request_becomes_stereo_of_exactly_its_length(backend):
    for seconds in (1, 2, 15):
        audio = backend.generate(replace(REQUEST, duration_sec=seconds), quiet)
        assert audio.samples.shape == (2, seconds * 48_000)
        assert audio.samples.dtype == np.float32
        assert 0.05 < np.abs(audio.samples).max() < 0.9
        assert audio.warnings == ()


def test_it_says_what_it_is(backend):
    assert backend.type == "ace_step"
    assert backend.name == f"ACE-Step ({NAME})"
    assert backend.model_version == f"{NAME} 0.0.1"
    assert (backend.min_duration_sec, backend.max_duration_sec) == (1, 240)


def test_the_same_request_gives_the_same_samples(backend, folder):
    again = AceStepBackend(open_bundle(folder), threads=1)
    np.testing.assert_array_equal(sound(backend), sound(again))


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "vinyl night"},
        {"seed": 43},
        {"lyrics": "[verse]\nhello rain"},
        {"inference_steps": 7},
        {"scheduler": "heun"},
        {"scheduler": "pingpong"},
        {"guidance_scale": 3.0},
        {"guidance_scale": 1.0},
    ],
)
def test_everything_a_request_says_shapes_the_sound(backend, changes):
    assert np.abs(sound(backend, **changes) - sound(backend)).max() > 1e-4


def test_an_instrumental_is_asked_for_in_two_ways(backend):
    np.testing.assert_array_equal(sound(backend, lyrics="[Instrumental]"), sound(backend))


def test_progress_tells_each_stage_and_step_before_it_begins(backend):
    heard = []
    backend.generate(REQUEST, lambda *step: heard.append(step))
    assert heard == [
        ("encode", 0, 1),
        *(("denoise", step, 6) for step in range(6)),
        *(("decode", piece, 2) for piece in range(2)),
        ("master", 0, 1),
    ]


@pytest.mark.parametrize("stage", ["encode", "denoise", "decode", "master"])
def test_a_cancelled_request_stops_at_the_next_step(backend, stage):
    heard = []

    def cancel(now, done, total):
        heard.append(now)
        if now == stage:
            raise GenerationCancelled("cancelled")

    with pytest.raises(GenerationCancelled):
        backend.generate(REQUEST, cancel)
    assert heard.count(stage) == 1
    assert heard[-1] == stage


def test_guided_steps_ask_the_decoder_for_both_branches_at_once(folder, monkeypatch):
    backend = AceStepBackend(open_bundle(folder), threads=1)
    rows = []
    run = backend._sessions.run

    def watched(file, *inputs, **options):
        if file == "transformer_decoder.onnx":
            rows.append((len(inputs[0]), inputs[4].shape))
        return run(file, *inputs, **options)

    monkeypatch.setattr(backend._sessions, "run", watched)
    sound(backend, inference_steps=8)
    assert rows == [(count, (1,)) for count in (1, 1, 2, 2, 2, 2, 1, 1)]
    rows.clear()
    sound(backend, inference_steps=8, guidance_scale=1.0)
    assert rows == [(1, (1,))] * 8


def test_lyrics_without_a_vocabulary_are_ignored_and_that_is_said(tmp_path):
    bundle = open_bundle(make_tiny_bundle(tmp_path / NAME, lyrics=False))
    backend = AceStepBackend(bundle, threads=1)
    audio = backend.generate(replace(REQUEST, lyrics="hello"), quiet)
    assert audio.warnings == ("lyrics ignored: this model has no lyric vocabulary",)
    np.testing.assert_array_equal(audio.samples, sound(backend))


def test_letters_that_cannot_be_sung_are_said(backend):
    audio = backend.generate(replace(REQUEST, lyrics="дождь rain"), quiet)
    assert audio.warnings == ("lyrics: Cyrillic letters are not supported and will not be sung",)


def test_an_unverified_folder_of_graphs_plays_the_same_row_by_row(backend, folder, tmp_path):
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / MANIFEST_NAME).unlink()
    opened = open_bundle(bare, verify=False)
    tiny_config = open_bundle(folder).config

    class Unverified(Bundle):
        config = tiny_config  # ACE-Step v1's own widths are not the tiny graphs'

    other = AceStepBackend(Unverified(opened.folder, None, False), threads=1)
    assert other.model_version == "bare unverified"
    np.testing.assert_allclose(sound(other), sound(backend), atol=1e-4)


def test_latents_can_be_had_alone_also_from_graphs_without_a_manifest_yet(backend, folder):
    made = Bundle(folder, None, verified=False, stated_config=open_bundle(folder).config)
    denoised = AceStepBackend(made, threads=1).latents(REQUEST, quiet)
    assert denoised.latents.shape == (1, 8, 16, 22)
    assert denoised.warnings == ()
    np.testing.assert_array_equal(denoised.latents, backend.latents(REQUEST, quiet).latents)


def test_a_graph_that_cannot_be_loaded_is_named(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / NAME)
    (broken / "vocoder.onnx").write_bytes(b"x" * (broken / "vocoder.onnx").stat().st_size)
    backend = AceStepBackend(open_bundle(broken, verify=False), threads=1)
    with pytest.raises(
        BackendError, match=r"vocoder.onnx: ONNX Runtime .* cannot load it"
    ) as error:
        sound(backend)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["tokenizer.json", "lyric_vocabulary.json"])
@pytest.mark.parametrize("content", [b"{}", b"\xff\xfe"])
def test_a_tokenizer_that_is_none_is_named_with_what_to_do(folder, tmp_path, file, content):
    broken = shutil.copytree(folder, tmp_path / NAME)
    (broken / file).write_bytes(content)
    config = open_bundle(folder).config
    backend = AceStepBackend(Bundle(broken, None, False, stated_config=config), threads=1)
    with pytest.raises(BackendError, match=rf"{NAME}/{file}: .* - pull it again") as error:
        sound(backend, lyrics="la")
    assert "\n" not in str(error.value)


def test_a_graph_that_fails_names_its_inputs(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / NAME)
    shutil.copy(folder / "vocoder.onnx", broken / "dcae_decoder.onnx")
    config = open_bundle(folder).config
    backend = AceStepBackend(Bundle(broken, None, False, stated_config=config), threads=1)
    with pytest.raises(BackendError, match=r"dcae_decoder.onnx failed on mel \(1, 8, 16, 22\)"):
        sound(backend)


def test_a_graph_with_too_few_inputs_is_refused(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / NAME)
    shutil.copy(folder / "vocoder.onnx", broken / "text_encoder.onnx")
    config = open_bundle(folder).config
    backend = AceStepBackend(Bundle(broken, None, False, stated_config=config), threads=1)
    with pytest.raises(BackendError, match=r"text_encoder.onnx: takes 1 inputs, 2 expected"):
        sound(backend)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda inputs: inputs.reverse(), r"input 1 is 'input_ids' .*says 'attention_mask'"),
        (lambda inputs: inputs[1].update(dtype="float32"), r"input 2 is .*int64\), .*\(float32\)"),
        (lambda inputs: inputs.pop(), r"input 2 is 'attention_mask' \(int64\), .* there is none"),
        (lambda inputs: inputs.append({**inputs[0], "name": "x"}), r"input 3 is not there, .*'x'"),
    ],
)
def test_a_graph_whose_inputs_are_not_the_manifests_is_not_loaded(folder, tmp_path, edit, words):
    wrong = shutil.copytree(folder, tmp_path / NAME)
    graphs = json.loads((wrong / MANIFEST_NAME).read_text())["graphs"]
    edit(graphs["text_encoder.onnx"]["inputs"])
    write_manifest(wrong, graphs)
    backend = AceStepBackend(open_bundle(wrong), threads=1)
    with pytest.raises(BackendError, match=rf"text_encoder.onnx: {words}"):
        backend.load()


def choice_of(folder):
    return BackendChoice("ace_step", folder, model_identity=open_bundle(folder).identity)


def test_making_the_backend_loads_all_of_it_and_tells_the_steps(folder):
    heard = []
    backend = make_ace_step(choice_of(folder), lambda *step: heard.append(step))
    assert [step for step in heard if step[0] == "load"] == [("load", n, 6) for n in range(6)]
    assert heard[0][0] == "verify"
    heard.clear()
    backend.load(lambda *step: heard.append(step))
    assert heard == []


@pytest.mark.parametrize("file", ["vocoder.onnx", "transformer_decoder_weights.bin"])
def test_a_file_replaced_between_check_and_load_does_not_play(folder, tmp_path, file):
    bundle = shutil.copytree(folder, tmp_path / NAME)
    other = make_tiny_bundle(tmp_path / "other", seed=8)

    def replace_when_loading(stage, done, _total):
        if (stage, done) == ("load", 1):
            (other / file).replace(bundle / file)

    with pytest.raises(BundleError, match=rf"{file}: changed while the bundle was being loaded"):
        make_ace_step(choice_of(bundle), replace_when_loading)


def test_a_verified_bundle_is_not_used_after_its_files_changed(folder, tmp_path):
    bundle = shutil.copytree(folder, tmp_path / NAME)
    backend = AceStepBackend(open_bundle(bundle), threads=1)
    shutil.copy(make_tiny_bundle(tmp_path / "other", seed=8) / "vocoder.onnx", bundle)
    with pytest.raises(BundleError, match=r"vocoder.onnx: changed"):
        sound(backend)


def test_another_bundle_in_the_place_of_the_chosen_one_is_refused(folder, tmp_path):
    other = make_tiny_bundle(tmp_path / NAME, seed=8)
    choice = replace(choice_of(folder), folder=other)
    with pytest.raises(BundleError, match=r"another bundle was put here since .* - ask again"):
        make_ace_step(choice, quiet)


def test_a_bundle_for_a_newer_onnx_runtime_is_refused_at_once(folder):
    bundle = open_bundle(folder)
    newer = replace(bundle, manifest=replace(bundle.manifest, oldest_onnxruntime="99.1"))
    with pytest.raises(BackendError, match=r"needs ONNX Runtime 99.1 or newer, 1\.\d+.* is "):
        AceStepBackend(newer)


def test_generating_imports_nothing_that_makes_models(folder):
    code = f"""
import sys
from pathlib import Path
from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import open_bundle
backend = AceStepBackend(open_bundle(Path({str(folder)!r})), threads=1)
backend.generate(Request("rain", 1, 1, lyrics="la", inference_steps=2), lambda *step: None)
print(sorted({{"torch", "transformers", "onnx", "librosa", "lofi_engine"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(RUNTIME)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
