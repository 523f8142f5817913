from __future__ import annotations

import json

import numpy as np
import pytest

from lofi_engine.calibration import grams as grams_module
from lofi_engine.calibration.grams import collect_grams, read_grams
from lofi_engine.calibration.prompts import CalibrationPrompt
from lofi_engine.calibration.samples import STEPS, kept_steps, read_samples, record_samples
from tests.support.exported_tiny import exported_tiny

PROMPTS = (
    CalibrationPrompt("CORE-01", "lofi, chill, piano, 80 bpm", "", 0),
    CalibrationPrompt("VOCAL-01", "lofi, female vocals, 74 bpm", "[Verse]\nrain on glass", 1),
)
GRAPHS = ("text_encoder", "transformer_encoder", "transformer_decoder")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = exported_tiny()[0]
    pipeline = json.loads((folder / "model.json").read_text(encoding="utf-8"))["pipeline"]
    target = tmp_path_factory.mktemp("samples")
    files = record_samples(folder, pipeline, PROMPTS, target, duration_sec=5, threads=1)
    return folder, pipeline, target, files


def test_every_noise_level_is_kept_of_some_prompt():
    assert set().union(*(kept_steps(number) for number in range(8))) == set(range(STEPS))
    assert {len(kept_steps(number)) for number in range(20)} == {3}


def test_a_prompt_leaves_what_each_graph_was_given(recorded):
    _, _, _, files = recorded
    text, encoder, decoder = (list(read_samples(files[1:], graph)) for graph in GRAPHS)
    assert len(text) == len(encoder) == 2  # as asked, and weaker
    assert len(decoder) == 3
    times = [float(feeds["timestep"][0]) for feeds in decoder]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 3
    assert decoder[0]["hidden_states"].shape[1:3] == (8, 16)


def test_recording_goes_on_where_it_was_stopped(recorded):
    folder, pipeline, target, files = recorded
    before = [file.read_bytes() for file in files]
    files[1].unlink()
    stamp = files[0].stat().st_mtime_ns
    again = record_samples(folder, pipeline, PROMPTS, target, duration_sec=5, threads=1)
    assert again == files
    assert files[0].stat().st_mtime_ns == stamp
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("graph", GRAPHS)
def test_grams_are_those_of_the_activations_however_they_are_grouped(
    recorded, tmp_path, graph, monkeypatch
):
    folder, _, _, files = recorded
    path = folder / f"{graph}.onnx"
    passes = []
    whole = collect_grams(path, files, tmp_path / "whole", lambda *done: passes.append(done))
    assert passes == [(0, 1), (1, 1)]
    monkeypatch.setattr(grams_module, "GROUP_BYTES", 100_000)
    cut = collect_grams(path, files, tmp_path / "cut", lambda *done: passes.append(done))
    assert passes[-1][1] > 1
    assert not list(tmp_path.rglob(".tapped-*"))
    assert read_grams(tmp_path / "cut").inputs == whole.inputs == cut.inputs
    silent = next((name for name in whole.inputs if "speaker" in name), None)
    for weight in whole.inputs:
        gram = whole.of(weight)
        assert gram.shape[0] == gram.shape[1]
        assert np.trace(gram) > 0 or weight == silent
        np.testing.assert_allclose(cut.of(weight), gram, rtol=1e-3, atol=1e-3 * gram.max())


def test_products_of_one_activation_share_its_gram(recorded, tmp_path):
    folder, _, _, files = recorded
    grams = collect_grams(folder / "transformer_decoder.onnx", files, tmp_path)
    sharing = {grams.sharing(weight) for weight in grams.inputs}
    assert sum(len(names) for names in sharing) == len(grams.inputs)
    assert max(len(names) for names in sharing) >= 3  # queries, keys and values of a self-attention


def test_an_activation_that_is_not_finite_is_named(recorded, tmp_path):
    folder, _, _, files = recorded
    with np.load(files[0]) as stored:
        content = {name: stored[name] for name in stored.files}
    for name, array in content.items():
        if "/transformer_decoder/hidden_states" in name:
            array[:] = np.inf
    np.savez(tmp_path / "00000.npz", **content)
    with pytest.raises(Exception, match=r"transformer_decoder\.onnx: the activation '.*not finite"):
        collect_grams(
            folder / "transformer_decoder.onnx", [tmp_path / "00000.npz"], tmp_path / "grams"
        )
