from __future__ import annotations

import json
import shutil

import pytest

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file
from lofi_engine.publishing.manifest import manifest_of
from lofi_runtime.bundle import MANIFEST_NAME, open_bundle
from tests.support.releases import make_measure, make_record, make_release
from tests.support.tiny_bundle import make_tiny_bundle


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / "graphs", manifest=False)


def test_the_runtime_opens_and_verifies_what_the_manifest_describes(graphs, tmp_path):
    folder = shutil.copytree(graphs, tmp_path / "lofi-small-int8")
    manifest = manifest_of(make_release(), "int8", folder)
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    bundle = open_bundle(folder, verify=True)
    assert (bundle.name, bundle.version) == ("lofi-small-int8", "0.1.0")
    assert bundle.config.min_duration_sec == 1
    assert bundle.manifest.widths == {"transformer_decoder": {8: 900, 16: 100}}


def test_it_says_what_was_made_from_what(graphs):
    release = make_release(git_revision="c0ffee0")
    manifest = manifest_of(release, "int8", graphs)
    assert manifest["name"] == "lofi-small-int8"
    assert manifest["base"] == {
        "model": "builtin:tiny",
        "revision": "1",
        "identity": "builtin:tiny@1",
    }
    assert manifest["recipe"] == {"sha256": release.recipe_sha256, "text": release.recipe_text}
    assert manifest["measured"]["git_revision"] == "c0ffee0"
    assert manifest["quality"]["latent_distance"]["mean"] == 0.0204
    assert manifest["measured"]["CPUExecutionProvider"]["render_time_ratio"] == 0.5
    assert manifest["coverage"] == 0.987654
    assert manifest["attributions"] == ["Rain by A. Person, CC BY 4.0"]
    assert manifest["ledger"]["licenses"] == {"cc-by-4.0": 1, "cc0": 2}


def test_without_a_commit_there_is_no_revision_key(graphs):
    assert "git_revision" not in manifest_of(make_release(), "int8", graphs)["measured"]


def test_what_was_run_otherwise_than_the_text_says_stands_beside_the_text(graphs):
    changes = ("--set training.steps=60", "--set seed=7")
    recipe = manifest_of(make_release(changes=changes), "int8", graphs)["recipe"]
    assert recipe["changes"] == list(changes)
    assert "changes" not in manifest_of(make_release(), "int8", graphs)["recipe"]


def test_every_file_is_there_with_its_hash_and_size(graphs):
    files = manifest_of(make_release(), "fp16", graphs)["files"]
    assert set(files) == {path.name for path in graphs.iterdir()}
    for name, record in files.items():
        path = graphs / name
        assert record == {"sha256": hash_file(path), "size_bytes": path.stat().st_size}


def test_the_graphs_interfaces_are_read_from_the_graphs_in_their_order(graphs):
    described = manifest_of(make_release(), "fp16", graphs)["graphs"]
    decoder = described["transformer_decoder.onnx"]
    assert [tensor["name"] for tensor in decoder["inputs"]] == [
        "hidden_states",
        "attention_mask",
        "encoder_hidden_states",
        "encoder_hidden_mask",
        "timestep",
    ]
    assert decoder["inputs"][0] == {
        "name": "hidden_states",
        "dtype": "float32",
        "shape": ["B", 8, 16, "T"],
    }
    assert described["text_encoder.onnx"]["inputs"][0]["dtype"] == "int64"
    assert [tensor["name"] for tensor in decoder["outputs"]] == ["sample"]


@pytest.fixture(scope="module")
def graphs_in_two(tmp_path_factory):
    """A bundle whose decoder is there in two graphs as well, and takes an optional input."""
    folder = tmp_path_factory.mktemp("made") / "in-two"
    return make_tiny_bundle(folder, manifest=False, query_scale=True, step=True)


def test_inputs_that_may_be_left_out_stand_apart_with_their_defaults(graphs_in_two):
    described = manifest_of(make_release(), "fp16", graphs_in_two)["graphs"]
    decoder = described["transformer_decoder.onnx"]
    assert decoder["inputs"][-1]["name"] == "timestep"
    assert decoder["optional_inputs"] == [
        {"name": "query_scale", "dtype": "float32", "shape": ["Q"], "default": [1.0]}
    ]
    assert "optional_inputs" not in described["vocoder.onnx"]


def test_the_decoders_two_graphs_are_described_like_any_other(graphs_in_two, tmp_path):
    folder = shutil.copytree(graphs_in_two, tmp_path / "lofi-small-int8")
    manifest = manifest_of(make_release(), "int8", folder)
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    names = {"transformer_context.onnx", "transformer_decoder_step.onnx"}
    assert names <= set(manifest["files"])
    assert names <= set(manifest["graphs"])
    context, step = (manifest["graphs"][name] for name in sorted(names))
    handed = [tensor["name"] for tensor in context["outputs"]]
    needed = ["hidden_states", "attention_mask", "timestep"]
    assert [tensor["name"] for tensor in step["inputs"]] == [*needed, *handed]
    assert [tensor["name"] for tensor in step["optional_inputs"]] == ["query_scale"]
    bundle = open_bundle(folder, verify=True)
    assert bundle.has_step_graphs
    stated = bundle.manifest.graphs["transformer_decoder_step.onnx"]
    assert [value.name for value in stated.optional_inputs] == ["query_scale"]


@pytest.mark.parametrize(
    ("weights", "opset", "reason"),
    [("int4", 21, False), ("int8", 17, False), ("int8", 21, True), ("fp16", 21, True)],
)
def test_an_opset_other_than_customary_states_its_reason(graphs, weights, opset, reason):
    release = make_release(records={"v": make_record(weights, opset=opset)})
    release.measures["v"] = release.measures["int8"]
    found = manifest_of(release, "v", graphs)["opset"]
    assert found["version"] == opset
    assert ("reason" in found) is reason


@pytest.mark.parametrize(("oldest", "loads"), [("1.20", True), ("1.22", False)])
def test_a_manifest_says_which_runtimes_load_it_and_whether_the_daemon_of_lofi_nvim_does(
    graphs, oldest, loads
):
    record = make_record(oldest_onnxruntime=oldest)
    found = manifest_of(make_release(records={"int8": record}), "int8", graphs)
    assert found["oldest_onnxruntime"] == oldest
    assert found["newest_onnxruntime"] == record["newest_onnxruntime"]
    assert found["lofi_nvim_daemon"] is loads
    assert found["operators"] == record["operators"]


def test_a_manifest_that_breaks_its_schema_is_refused_before_anything_is_published(graphs):
    release = make_release(records={"int8": make_record(coverage_total=1.5)})
    with pytest.raises(StageError) as caught:
        manifest_of(release, "int8", graphs)
    assert str(caught.value) == (
        "publish: the manifest of lofi-small-int8 is wrong: "
        "coverage: 1.5 is greater than the maximum of 1"
    )


def test_a_missing_graph_is_refused_by_name(graphs, tmp_path):
    folder = shutil.copytree(graphs, tmp_path / "lacking")
    (folder / "vocoder.onnx").unlink()
    with pytest.raises(StageError, match=r"is wrong: files: 'vocoder\.onnx' is a required"):
        manifest_of(make_release(), "int8", folder)


def test_measured_speeds_are_all_that_differs_between_two_equal_releases(graphs):
    slower = {"fp16": make_measure(), "int8": make_measure(ratio=9.0)}
    later = make_release(measures=slower, git_revision="c0ffee0-dirty")
    one, other = (manifest_of(release, "int8", graphs) for release in (make_release(), later))
    assert {key for key in one if one[key] != other[key]} == {"measured"}
