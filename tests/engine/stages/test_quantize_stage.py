from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from lofi_engine.calibration.prompts import calibration_prompts
from lofi_engine.calibration.samples import read_samples, record_samples
from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.context import run_halves
from lofi_engine.onnx_graphs.examples import load_examples
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.forms import FP16 as FORM_FP16
from lofi_engine.quantization.rules import plan_forms
from lofi_engine.quantization.weights import find_weights
from lofi_engine.recipe.model import Variant
from lofi_engine.stages import quantize
from lofi_engine.styles.source import StylesSource
from lofi_runtime.styles.taxonomy import load_styles
from tests.support.exported_tiny import exported_tiny, make_context, temporary_folder

HALVES = ("transformer_context.onnx", "transformer_decoder_step.onnx")
AUDIO = ("dcae_decoder", "vocoder")
FP16 = Variant("fp16", "rtn", 64, None, AUDIO)
INT8 = Variant("int8", "rtn", 64, None, AUDIO)
INT4 = Variant("int4", "rtn", 64, None, AUDIO)
CALIBRATING = quantize.Calibrating(4, 5, StylesSource(None, ""), 1)
PLAIN = {"fp16": FP16, "int8": INT8, "int4": INT4}


def _quantize(work: Path, variants: dict[str, Variant], calibrating=None):
    events = []
    context = make_context("quantize", work, {"export": exported_tiny()[0]}, events)
    outcome = quantize.run(context, quantize.Settings(variants, calibrating))
    records = {
        name: json.loads((work / name / "record.json").read_text(encoding="utf-8"))
        for name in variants
    }
    return outcome, records, events


@pytest.fixture(scope="module")
def plain():
    work = temporary_folder("quantized-tiny")
    return work, *_quantize(work, PLAIN)


def test_every_variant_is_a_whole_bundle_that_runs(plain):
    work, outcome, _, events = plain
    exported = exported_tiny()[0]
    examples = load_examples(exported / "examples.safetensors")
    listing = json.loads((exported / "export.json").read_text(encoding="utf-8"))
    wanted = {*listing["files"], *(graph["file"] for graph in listing["graphs"]), *HALVES}
    wanted.add("transformer_decoder_weights.bin")
    for name in PLAIN:
        assert {path.name for path in (work / name).iterdir()} == wanted | {"record.json"}
        for graph, inputs in examples.items():
            onnxruntime.InferenceSession(work / name / f"{graph}.onnx").run(None, inputs)
    done = [event.done for event in events]
    assert done == sorted(done)
    assert set(done) == set(range(16))
    assert {event.total for event in events} == {15}
    assert outcome.measured_files == {f"{name}/record.json" for name in PLAIN}


@pytest.mark.parametrize("name", PLAIN)
def test_a_variants_decoder_in_two_graphs_gives_what_it_gives_in_one(plain, name):
    decoder = plain[0] / name / "transformer_decoder.onnx"
    inputs = load_examples(exported_tiny()[0] / "examples.safetensors")["transformer_decoder"]
    whole = onnxruntime.InferenceSession(decoder).run(None, inputs)[0]
    np.testing.assert_allclose(run_halves(decoder, inputs)["sample"], whole, atol=1e-5)


def test_the_two_graphs_cost_no_weights_and_no_component_is_counted_twice(plain):
    work, _, records, _ = plain
    for name, record in records.items():
        halves = sum((work / name / file).stat().st_size for file in HALVES)
        stems = [Path(file).stem for file in HALVES]
        assert sum(record["sizes"][stem] for stem in stems) == halves
        # At tiny size a graph's nodes weigh as much as its weights; at full size nothing.
        assert halves < 1.5 * (work / name / "transformer_decoder.onnx").stat().st_size
        for counted in ("widths", "coverage", "matmul_coverage", "distances"):
            assert not set(stems) & set(record[counted]), counted


@pytest.mark.parametrize("name", PLAIN)
def test_optional_inputs_keep_their_type_and_their_defaults(plain, name):
    exported = exported_tiny()[0]
    kept = 0
    for path in sorted(exported.glob("*.onnx")):
        graph = ir.load(plain[0] / name / path.name).graph
        weights = {weight.name for weight in find_weights(graph)}
        optional = {value.name: value for value in graph.inputs if value.is_initializer()}
        before = [value for value in ir.load(path).graph.inputs if value.is_initializer()]
        assert set(optional) == {value.name for value in before}
        for value in before:
            kept += 1
            found = optional[value.name]
            assert found.dtype == found.const_value.dtype == value.dtype != ir.DataType.FLOAT16
            np.testing.assert_array_equal(found.const_value.numpy(), value.const_value.numpy())
            assert value.name not in weights
    assert kept >= 3


def test_fewer_bits_are_fewer_bytes_and_more_distance(plain):
    _, outcome, records, _ = plain
    sizes = [outcome.facts["total_bytes"][name] for name in ("fp16", "int8", "int4")]
    assert sizes == sorted(sizes, reverse=True)
    distances = [
        records[name]["distances"]["transformer_decoder"]["sample"]["relative_rms"]
        for name in ("fp16", "int8", "int4")
    ]
    assert distances[0] < 2e-3 < distances[1] < 0.05 < distances[2] < 0.3


def test_a_record_says_widths_coverage_sizes_and_the_oldest_runtime(plain):
    work, _, records, _ = plain
    record = records["int4"]
    assert sum(record["sizes"].values()) == record["total_bytes"]
    decoder = work / "int4" / "transformer_decoder.onnx"
    weights = work / "int4" / "transformer_decoder_weights.bin"
    both = decoder.stat().st_size + weights.stat().st_size
    assert record["sizes"]["transformer_decoder"] == both
    assert record["matmul_coverage"]["transformer_decoder"] > 0.9
    assert "4" in record["widths"]["transformer_decoder"]
    assert min(map(int, record["widths"]["transformer_encoder"])) == 8
    assert min(map(int, record["widths"]["vocoder"])) == 16
    assert record["oldest_onnxruntime"] == "1.20"
    assert record["opset"] == 21
    total = sum(sum(widths.values()) for widths in record["widths"].values())
    assert sum(record["widths_total"].values()) == total


def test_every_variant_counts_the_same_number_of_weights(plain):
    _, _, records, _ = plain
    totals = {sum(record["widths_total"].values()) for record in records.values()}
    assert len(totals) == 1


def test_two_runs_give_the_same_bytes_and_no_byte_tells_where(plain, tmp_path):
    work, _, _, _ = plain
    _quantize(tmp_path, {"int4": INT4})
    for path in (work / "int4").iterdir():
        content = path.read_bytes()
        assert content == (tmp_path / "int4" / path.name).read_bytes()
        for secret in (str(work), str(exported_tiny()[0]), "/home/", f"{Path.home()}/"):
            assert secret.encode() not in content, f"{secret} in {path.name}"


def test_an_int8_budget_lowers_weights_to_4_bits_and_holds(plain, tmp_path):
    whole = plain[1].facts["total_bytes"]["int8"]
    budget = whole - 60_000
    variant = Variant("int8", "hqq", 64, budget, AUDIO)
    outcome, records, _ = _quantize(tmp_path, {"mixed": variant}, CALIBRATING)
    assert budget - 60_000 < outcome.facts["total_bytes"]["mixed"] <= budget
    record = records["mixed"]
    assert record["moved_by_budget"]
    assert "transformer_encoder" not in record["moved_by_budget"]
    assert record["widths_total"]["4"] > 0
    assert record["matmul_coverage"]["transformer_decoder"] == 1.0
    assert record["oldest_onnxruntime"] == "1.20"
    told = record["allocation"]
    assert told["least_possible_error"] <= told["predicted_error"] + 1e-12
    assert 0 < told["error"] < 0.1
    moved = {name for name, row in told["weights"].items() if row["moved_to_bits"]}
    assert moved == {
        f"{part}/{one}" for part, names in record["moved_by_budget"].items() for one in names
    }


def test_spare_bytes_of_an_int4_budget_lift_weights_while_the_name_stays_true(plain, tmp_path):
    whole = plain[1].facts["total_bytes"]["int4"]
    variant = Variant("int4", "rtn", 64, whole + 34_000, AUDIO)
    outcome, records, _ = _quantize(tmp_path, {"lifted": variant}, CALIBRATING)
    assert whole < outcome.facts["total_bytes"]["lifted"] <= whole + 34_000
    record = records["lifted"]
    assert record["widths"]["transformer_decoder"]["8"] > 0
    assert record["matmul_coverage"]["transformer_decoder"] == 1.0
    assert record["lifted_total"] == sum(
        row["elements"] for row in record["allocation"]["weights"].values() if row["moved_to_bits"]
    )
    plainly = plain[2]["int4"]["distances"]["transformer_decoder"]["sample"]["relative_rms"]
    assert record["distances"]["transformer_decoder"]["sample"]["relative_rms"] < plainly


def test_a_variant_over_its_budget_says_by_how_much(plain, tmp_path):
    smallest = plain[1].facts["total_bytes"]["fp16"]
    variant = Variant("fp16", "rtn", 64, smallest - 1234, AUDIO)
    with pytest.raises(
        StageError, match=rf"variant small: {smallest} bytes, which is 1234 over its max_bytes"
    ):
        _quantize(tmp_path, {"small": variant})


@pytest.fixture(scope="module")
def calibrated():
    work = temporary_folder("calibrated-tiny")
    variants = {name: replace(INT4, method=name) for name in ("awq", "gptq")}
    return work, *_quantize(work, variants, CALIBRATING)


@pytest.fixture(scope="module")
def unheard(tmp_path_factory):
    """What the pipeline gives the decoder on prompts that calibrated nothing, and its answers."""
    folder = exported_tiny()[0]
    pipeline = json.loads((folder / "model.json").read_text(encoding="utf-8"))["pipeline"]
    prompts = calibration_prompts(load_styles(), 6, seed=4000)
    target = tmp_path_factory.mktemp("unheard")
    files = record_samples(folder, pipeline, prompts, target, duration_sec=5, threads=1)
    feeds = list(read_samples(files, "transformer_decoder"))
    session = GraphSession(folder / "transformer_decoder.onnx")
    return feeds, [session.run(one)["sample"] for one in feeds]


def _distance(folder: Path, unheard) -> float:
    session = GraphSession(folder / "transformer_decoder.onnx")
    errors = [
        np.sqrt(np.square(session.run(feeds)["sample"] - wanted).mean()) / wanted.std()
        for feeds, wanted in zip(*unheard, strict=True)
    ]
    return float(np.mean(errors))


# Random weights have no input that speaks louder than others: awq finds little to balance.
@pytest.mark.parametrize(("method", "most"), [("awq", 1.05), ("gptq", 0.85)])
def test_calibrated_4_bits_are_nearer_to_float32_at_the_same_bytes(
    plain, calibrated, unheard, method, most
):
    by_ear, plainly = calibrated[2][method], plain[2]["int4"]
    distances = [
        _distance(folder, unheard) for folder in (calibrated[0] / method, plain[0] / "int4")
    ]
    assert distances[0] < most * distances[1], distances
    assert by_ear["widths"] == plainly["widths"]
    assert by_ear["total_bytes"] < 1.06 * plainly["total_bytes"]  # awq keeps a scale an input
    assert by_ear["matmul_coverage"]["transformer_decoder"] == 1.0
    assert by_ear["oldest_onnxruntime"] == "1.20"


def test_calibrating_is_told_of_and_goes_on_where_it_was_stopped(calibrated, tmp_path):
    work, _, records, events = calibrated
    units = {event.unit for event in events}
    assert {"calibration prompts", "calibration passes", "graphs"} <= units
    shutil.copytree(work / "progress", tmp_path / "progress")
    for path in (tmp_path / "progress" / "samples").iterdir():
        path.write_bytes(b"read again, this would be no sample")
    _, again, _ = _quantize(tmp_path, {"gptq": replace(INT4, method="gptq")}, CALIBRATING)
    assert again["gptq"] == records["gptq"]


def test_a_budget_no_width_reaches_says_the_smallest_size(plain, tmp_path):
    variant = Variant("int8", "rtn", 64, 1000, AUDIO)
    with pytest.raises(StageError, match="max_bytes 1000 is out of reach, the smallest size is"):
        _quantize(tmp_path, {"tiny": variant}, CALIBRATING)


def test_a_decoder_kept_at_fp16_is_not_an_int8_variant(tmp_path):
    variant = Variant("int8", "rtn", 64, None, (*AUDIO, "transformer_decoder"))
    with pytest.raises(StageError, match="variant big: only 0% of the matrix weights"):
        _quantize(tmp_path, {"big": variant})


def test_a_layer_that_a_pass_skips_is_caught_in_the_graph_it_wrote(tmp_path, monkeypatch):
    def forgetful(component, weights, variant):
        forms = plan_forms(component, weights, variant)
        return {
            name: FORM_FP16 if name.startswith("transformer_blocks.1.") else form
            for name, form in forms.items()
        }

    monkeypatch.setattr("lofi_engine.quantization.build.plan_forms", forgetful)
    monkeypatch.setattr("lofi_engine.quantization.coverage.MIN_COVERAGE", 0.1)
    with pytest.raises(StageError, match=r"variant int8: transformer_blocks\.1 of transformer_dec"):
        _quantize(tmp_path, {"int8": INT8})


def test_a_variant_that_cannot_be_built_stops_before_any_work(tmp_path):
    variants = {"fp16": FP16, "int4": Variant("int4", "dynamic", 64, None, AUDIO)}
    with pytest.raises(StageError, match="'dynamic' does not make int4"):
        _quantize(tmp_path, variants)
    assert not list(tmp_path.iterdir())


def test_a_missing_export_says_which_stage_to_run(tmp_path):
    context = make_context("quantize", tmp_path / "work", {"export": tmp_path}, [])
    with pytest.raises(StageError, match="run the export stage again"):
        quantize.run(context, quantize.Settings(PLAIN))


def shift_halves(monkeypatch, by):
    def shifted(decoder, inputs):
        found = run_halves(decoder, inputs)["sample"]
        return {"sample": found + by * found.std()}

    monkeypatch.setattr("lofi_engine.quantization.build.run_halves", shifted)


@pytest.mark.parametrize(("name", "variant", "by"), [("fp16", FP16, 0.01), ("int8", INT8, 0.05)])
def test_halves_that_give_something_else_than_the_whole_are_refused(
    name, variant, by, tmp_path, monkeypatch
):
    shift_halves(monkeypatch, by)
    with pytest.raises(
        StageError, match=rf"variant {name}: transformer_decoder\.onnx cut in two gives"
    ):
        _quantize(tmp_path, {name: variant})


def test_halves_of_8_bits_may_differ_from_the_whole_as_far_as_that_does_from_float32(
    tmp_path, monkeypatch
):
    shift_halves(monkeypatch, 0.005)
    _, records, _ = _quantize(tmp_path, {"int8": INT8})
    own = records["int8"]["distances"]["transformer_decoder"]["sample"]["relative_rms"]
    assert 0.005 < own < 0.05
