from __future__ import annotations

import json
import shutil
import weakref
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lofi_runtime.pipeline
from lofi_engine.errors import StageError
from lofi_engine.measuring import render
from lofi_engine.measuring.latents import latent_fault, latent_quality
from lofi_engine.stages import measure
from lofi_engine.stages.measure import GateError
from tests.support.recipes import make_recipe
from tests.support.releases import make_release
from tests.support.stage_runs import run_stage
from tests.support.tiny_bundle import make_tiny_bundle


def disturb(folder, off):
    """Move the decoder's weights by a share of their own width."""
    path = folder / "transformer_decoder.onnx"
    model = onnx.load(path)
    for weight in model.graph.initializer:
        if weight.name == "pattern_weight":
            value = numpy_helper.to_array(weight)
            noise = np.random.default_rng(1).standard_normal(value.shape).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(value + off * value.std() * noise, weight.name))
    onnx.save(model, path)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What export and quantize leave: float32 graphs, one near variant, one far, one equal."""
    folder = tmp_path_factory.mktemp("inputs")
    exported = make_tiny_bundle(folder / "export", manifest=False)
    described = {"identity": "builtin:tiny@1", "pipeline": make_release().pipeline}
    (exported / "model.json").write_text(json.dumps(described))
    for name, off in {"fp16": 0.0, "int8": 0.02, "int4": 0.4}.items():
        variant = shutil.copytree(exported, folder / "quantize" / name)
        disturb(variant, off)
    return {"export": exported, "quantize": folder / "quantize"}


def measured(tmp_path, inputs, **changes):
    recipe = make_recipe(tmp_path, measure={"seeds": 2, "duration_sec": 2, **changes})
    return run_stage(measure, recipe, tmp_path / "run", inputs=inputs)


@pytest.fixture(scope="module")
def done(tmp_path_factory, inputs):
    return measured(tmp_path_factory.mktemp("done"), inputs)


def test_every_variant_has_its_distance_from_float32(done):
    listing = json.loads((done.work / "measure.json").read_text())
    assert list(listing["variants"]) == ["fp16", "int8", "int4"]
    means = [found["latent_distance"]["mean"] for found in listing["variants"].values()]
    assert means[0] == 0.0
    assert 0.0 < means[1] < means[2]
    for found in listing["variants"].values():
        assert (found["seeds"], found["steps"], found["duration_sec"]) == (2, 2, 2)
        assert len(found["latent_distance"]["each"]) == 2
    assert done.outcome.facts == {
        "latent_distance": dict(zip(listing["variants"], means, strict=True))
    }


def test_cosine_and_signal_to_noise_stand_beside_the_distance(done):
    listing = json.loads((done.work / "measure.json").read_text())["variants"]
    assert listing["fp16"]["latent_cosine"]["mean"] == 1.0
    assert listing["fp16"]["latent_snr"]["mean"] == 150.0
    for metric in ("latent_cosine", "latent_snr"):
        near, far = (listing[name][metric] for name in ("int8", "int4"))
        assert near["mean"] > far["mean"] >= far["min"] == min(far["each"])
    found = listing["int4"]["latent_distance"]
    assert (found["n"], found["counted"]) == (2, "pairs")
    assert found["interval"]["low"] <= found["mean"] <= found["interval"]["high"]
    assert found["interval"]["drawn"] == "clips"


def test_latents_of_zeros_are_a_fault_and_one_pair_has_no_interval():
    zeros, ones = np.zeros((1, 8, 16, 4), np.float32), np.ones((1, 8, 16, 4), np.float32)
    assert latent_fault([ones, zeros]) == "its latents are all zero"
    assert latent_fault([ones]) == ""
    assert latent_quality([ones], [2 * ones])["latent_snr"] == {
        "unit": "dB", "mean": 6.0206, "min": 6.0206, "each": [6.0206],
        "n": 1, "counted": "pairs", "interval": None,
    }  # fmt: skip


def test_speeds_are_measured_figures_and_no_facts(done):
    listing = json.loads((done.work / "measure.json").read_text())
    assert list(listing["measured"]) == ["float32", "fp16", "int8", "int4"]
    assert listing["measured"]["int8"]["CPUExecutionProvider"]["render_time_ratio"] > 0
    assert done.outcome.measured == listing["measured"]
    assert "render_time_ratio" not in json.dumps(done.outcome.facts)
    assert "render_time_ratio" not in json.dumps(listing["variants"])


def test_progress_counts_the_bundles(done):
    said = [(event.done, event.total, event.unit, event.message) for event in done.events]
    assert said[:3] == [
        (0, 4, "bundles", "float32"),
        (0, 4, "bundles", "float32: denoised 1 of 2"),
        (0, 4, "bundles", "float32: denoised 2 of 2"),
    ]
    assert [line for line in said if ":" not in line[3]] == [
        (0, 4, "bundles", "float32"),
        (1, 4, "bundles", "fp16"),
        (2, 4, "bundles", "int8"),
        (3, 4, "bundles", "int4"),
        (4, 4, "bundles", ""),
    ]


def test_the_probes_come_from_the_styles_and_the_seed(done, tmp_path, inputs):
    from lofi_runtime.styles.prompts import expand_style
    from lofi_runtime.styles.taxonomy import load_styles

    prompts = json.loads((done.work / "measure.json").read_text())["prompts"]
    styles = list(load_styles().values())
    assert prompts == [expand_style(styles[number], 7 + number) for number in range(2)]


def test_quality_is_the_same_again(done, tmp_path, inputs):
    again = measured(tmp_path, inputs)
    first, second = (
        json.loads((one.work / "measure.json").read_text())["variants"] for one in (done, again)
    )
    assert first == second


def test_a_variant_within_its_bound_passes(tmp_path, inputs, done):
    distance = done.outcome.facts["latent_distance"]["int4"]
    run = measured(tmp_path, inputs, max_distance={"int4": distance, "fp16": 0.001})
    assert run.outcome.facts == done.outcome.facts


def test_every_variant_beyond_its_bound_is_named_with_its_numbers(tmp_path, inputs, done):
    distance = done.outcome.facts["latent_distance"]
    bounds = {"fp16": 0.5, "int8": distance["int8"] / 2, "int4": 0.001}
    with pytest.raises(GateError) as caught:
        measured(tmp_path, inputs, max_distance=bounds)
    assert isinstance(caught.value, StageError)
    hint = "give it more bytes or bits, or raise the bound"
    assert str(caught.value).splitlines() == [
        f"measure: variant int8: its latent distance from float32 is {distance['int8']:.4g}, "
        f"measure.max_distance.int8 allows {bounds['int8']:g} - {hint}",
        f"measure: variant int4: its latent distance from float32 is {distance['int4']:.4g}, "
        f"measure.max_distance.int4 allows 0.001 - {hint}",
    ]
    assert not (tmp_path / "run" / "work" / "measure.json").exists()


def with_broken(inputs, place, *names):
    """The same inputs, the decoders of some bundles giving what is no number."""
    broken = {name: shutil.copytree(path, place / name) for name, path in inputs.items()}
    for name in names:
        disturb(broken["export"] if name == "export" else broken["quantize"] / name, float("nan"))
    return broken


def test_variants_that_give_no_numbers_are_refused_by_name_without_any_bound(tmp_path, inputs):
    broken = with_broken(inputs, tmp_path, "fp16", "int4")
    with pytest.raises(GateError) as caught:
        measured(tmp_path, broken)
    assert str(caught.value).splitlines() == [
        f"measure: variant {name}: its latents are not finite - keep more of it in fp16 "
        "(keep_fp16), or give it more bits"
        for name in ("fp16", "int4")
    ]
    assert not (tmp_path / "run" / "work" / "measure.json").exists()


def test_a_broken_variant_and_one_beyond_its_bound_are_told_together(tmp_path, inputs):
    broken = with_broken(inputs, tmp_path, "int8")
    with pytest.raises(GateError) as caught:
        measured(tmp_path, broken, max_distance={"int8": 0.5, "int4": 0.001})
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("measure: variant int8: its latents are not finite")
    assert lines[1].startswith("measure: variant int4: its latent distance")
    assert len(lines) == 2


def test_float32_graphs_that_give_no_numbers_are_refused_before_any_variant(tmp_path, inputs):
    broken = with_broken(inputs, tmp_path, "export")
    with pytest.raises(GateError, match=r"^measure: float32: its latents are not finite - train"):
        measured(tmp_path, broken)


def test_never_two_bundles_are_open_at_once(tmp_path, inputs, monkeypatch):
    opened = []
    open_one = render.open_unpublished

    def watched(*arguments):
        assert [one for one in opened if one() is not None] == []
        backend = open_one(*arguments)
        opened.append(weakref.ref(backend))
        return backend

    monkeypatch.setattr(render, "open_unpublished", watched)
    measured(tmp_path, inputs)
    assert len(opened) == 2 * 4


def test_the_settings_are_the_recipe_s_and_a_part_of_a_second_is_a_whole_one(tmp_path):
    recipe = make_recipe(tmp_path, measure={"max_distance": {"int8": 0.4}, "duration_sec": 5})
    recipe = replace(recipe, measure=replace(recipe.measure, duration_sec=5.2))
    taken = measure.settings(recipe)
    assert taken.duration_sec == 6
    assert dict(taken.max_distance) == {"int8": 0.4}
    assert taken.variants == ("fp16", "int8", "int4")
    assert taken.pipeline_version == lofi_runtime.pipeline.VERSION
    assert measure.sources(recipe) == ()
