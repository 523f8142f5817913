from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.examples import load_examples
from lofi_engine.stages import export
from lofi_engine.tensors import save_tensors
from tests.support.exported_tiny import (
    TINY,
    exported_tiny,
    make_context,
    merged_tiny,
)

STEP = "transformer_decoder_step"
BUNDLE = {
    "transformer_context.onnx",
    f"{STEP}.onnx",
    "text_encoder.onnx",
    "transformer_encoder.onnx",
    "transformer_decoder.onnx",
    "transformer_decoder_weights.bin",
    "dcae_decoder.onnx",
    "vocoder.onnx",
    "tokenizer.json",
}


def test_the_folder_holds_the_whole_bundle_with_records_and_examples():
    folder, outcome, _ = exported_tiny()
    names = {path.name for path in folder.iterdir()}
    assert BUNDLE | {"export.json", "examples.safetensors"} <= names
    assert outcome.measured_files == {"export.json"}
    assert outcome.facts["opset"] == 21
    assert outcome.measured["parity"] < 1e-3


def test_each_graph_is_recorded_and_reported():
    folder, _, events = exported_tiny()
    listing = json.loads((folder / "export.json").read_text())
    graphs = {graph["file"]: graph for graph in listing["graphs"]}
    assert set(graphs) == {name for name in BUNDLE if name.endswith(".onnx")}
    assert set(listing["files"]) >= {"tokenizer.json"}
    counted = [(event.done, event.total, event.unit) for event in events if event.unit]
    assert counted == [
        *((done, 5, "graphs written") for done in range(6)),
        *((done, 7, "graphs proven") for done in (0, 1, 2, 3, 5, 6, 7)),
    ]
    for file, graph in graphs.items():
        assert graph["size_bytes"] == (folder / file).stat().st_size
        assert len({json.dumps(found["sizes"]) for found in graph["parity"]}) == 5
        assert {found["sizes"]["batch"] for found in graph["parity"]} >= {1, 2}


def test_the_graphs_that_guidance_weakens_say_what_may_be_left_out():
    folder, _, _ = exported_tiny()
    listing = json.loads((folder / "export.json").read_text())
    optional = {graph["file"]: graph["optional_inputs"] for graph in listing["graphs"]}
    scale = {"name": "query_scale", "dtype": "float32", "default": [1.0]}
    for file in ("text_encoder", "transformer_encoder", "transformer_decoder", STEP):
        assert optional[f"{file}.onnx"] == [scale]
    assert optional["vocoder.onnx"] == optional["transformer_context.onnx"] == []


def test_the_decoders_halves_share_its_weights():
    folder, _, _ = exported_tiny()
    listing = json.loads((folder / "export.json").read_text())
    weights = {graph["file"]: graph["weights"] for graph in listing["graphs"]}
    assert weights[f"{STEP}.onnx"] == weights["transformer_context.onnx"]
    assert weights[f"{STEP}.onnx"] == weights["transformer_decoder.onnx"]
    assert weights[f"{STEP}.onnx"]["file"] == "transformer_decoder_weights.bin"
    assert not list(folder.glob("*context*.bin"))


def test_what_was_left_out_is_counted_recorded_and_said():
    folder, outcome, events = exported_tiny()
    counts = json.loads((folder / "export.json").read_text())["left_out"]
    assert outcome.facts["left_out"] == counts
    note = next(event.message for event in events if event.kind == "note")
    assert note.startswith("left out 0.2 M weights that never run: cross_attn.add_* and to_add_out")
    assert "projectors" in note
    assert all(count > 0 for count in counts.values())


def test_the_merged_weights_are_what_is_exported():
    folder, _, _ = exported_tiny()
    examples = load_examples(folder / "examples.safetensors")["transformer_decoder"]
    session = onnxruntime.InferenceSession(folder / "transformer_decoder.onnx")
    assert session.run(None, examples)[0].shape == examples["hidden_states"].shape
    weights = (folder / "transformer_decoder_weights.bin").read_bytes()
    from safetensors.numpy import load_file

    merged = load_file(merged_tiny() / "transformer" / "diffusion_pytorch_model.safetensors")
    name = next(name for name in merged if name.endswith("attn.to_out.0.weight"))
    assert merged[name].T.tobytes() in weights


def test_no_byte_of_the_folder_tells_where_it_was_made():
    folder, _, _ = exported_tiny()
    for path in folder.iterdir():
        content = path.read_bytes()
        for secret in (
            str(folder),
            str(merged_tiny()),
            "/home/",
            f"{Path.home()}/",
        ):
            assert secret.encode() not in content, f"{secret} in {path.name}"


def test_a_recipe_called_by_a_relative_path_finds_what_was_merged(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "merged").symlink_to(merged_tiny())
    monkeypatch.chdir(tmp_path)
    context = make_context("export", Path("recipes"), {"merge": Path("recipes/merged")}, [])
    base = export._load_merged(context, export.Settings(TINY, export.OPSET))
    assert base.identity.startswith("builtin:tiny@")


def _run_with(tmp_path, change):
    from safetensors.torch import load_file

    state = load_file(merged_tiny() / "transformer" / "diffusion_pytorch_model.safetensors")
    change(state)
    merged = tmp_path / "merged"
    (merged / "transformer").mkdir(parents=True)
    save_tensors(merged / "transformer" / "diffusion_pytorch_model.safetensors", state)
    context = make_context("export", tmp_path / "work", {"merge": merged}, [])
    export.run(context, export.Settings(TINY, export.OPSET))


def test_merged_weights_of_another_base_are_refused_by_name(tmp_path):
    def drop(state):
        del state[min(state)]

    with pytest.raises(StageError, match=r"its tensors are not this network's: 1 missing: "):
        _run_with(tmp_path / "dropped", drop)

    def cut(state):
        name = max(state)
        state[name] = state[name].flatten()[:1]

    with pytest.raises(StageError, match=r"1 of shape \(1,\), not \(6, 64\): .*scale_shift"):
        _run_with(tmp_path / "cut", cut)


def test_a_missing_merge_says_which_stage_to_run(tmp_path):
    context = make_context("export", tmp_path / "work", {"merge": tmp_path}, [])
    with pytest.raises(StageError, match="run the merge stage again"):
        export.run(context, export.Settings(replace(TINY), export.OPSET))
