"""The built-in bases by name: what they are, and what is said of one that is not there."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from lofi_engine.errors import NeedsError, StageError
from lofi_engine.models.ace_step_v1 import builtin, checkpoint
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.registry import FAMILIES
from lofi_engine.needs import check_needs
from lofi_engine.tensors import save_tensors
from tests.support.recipes import make_recipe

FAMILY = FAMILIES["ace-step-v1"]
SHIPPED = builtin.NANO_FOLDER
LARGEST_BYTES = 25_000_000


@pytest.fixture
def other_nano(monkeypatch, tmp_path):
    """A folder of another base in the place of the nano's files."""
    folder = tmp_path / "lofi_nano"
    checkpoint.save(checkpoint.set_precision(build_tiny(), "fp16"), folder)
    monkeypatch.setattr(builtin, "NANO_FOLDER", folder)
    return folder


def load_nano(home, **options):
    return FAMILY.load(builtin.NANO, revision="1", lyric_vocabulary=None, home=home, **options)


def test_the_nano_is_a_folder_known_by_its_number_and_not_by_its_bytes(other_nano, tmp_path):
    base = load_nano(tmp_path)
    assert base.identity == f"builtin:lofi-nano@{builtin.DEFINITIONS[builtin.NANO]}"
    assert FAMILY.definition(builtin.NANO, "main") == builtin.DEFINITIONS[builtin.NANO]
    assert base.lyric_vocabulary == (other_nano / "lyric_vocabulary.json").read_text()


def test_half_precision_files_are_read_to_float32_and_no_further(other_nano, tmp_path):
    base = load_nano(tmp_path)
    found = base.transformer.state_dict()["final_layer.linear.weight"]
    expected = build_tiny().transformer.state_dict()["final_layer.linear.weight"]
    assert found.dtype == torch.float32
    assert torch.equal(found, expected.half().float())


def test_a_merged_transformer_stands_in_for_the_nanos(other_nano, tmp_path):
    state = load_nano(tmp_path).transformer.state_dict()
    path = tmp_path / "merged.safetensors"
    save_tensors(path, {name: value + 1 for name, value in state.items()})
    found = load_nano(tmp_path, transformer=path).transformer.state_dict()
    assert torch.equal(found["final_layer.linear.bias"], state["final_layer.linear.bias"] + 1)


def test_the_nano_is_outlined_from_its_own_configuration(other_nano, tmp_path):
    found = FAMILY.outline(builtin.NANO, revision="1", home=tmp_path)
    assert found.source == "the configuration of builtin:lofi-nano"
    tiny = FAMILY.outline(builtin.TINY, revision="1", home=tmp_path)
    assert found.graphs == tiny.graphs


def test_an_install_without_the_nanos_files_says_so_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(builtin, "NANO_FOLDER", tmp_path / "absent")
    lacking = "this install lacks the weights of builtin:lofi-nano: .*absent is missing - install"
    for ask in (load_nano, lambda home: FAMILY.outline(builtin.NANO, revision="1", home=home)):
        with pytest.raises(StageError, match=lacking):
            ask(tmp_path)
    base = {"family": "ace-step-v1", "model": builtin.NANO}
    with pytest.raises(NeedsError, match=lacking):
        check_needs(make_recipe(tmp_path, base=base))


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(
        StageError, match=r"'builtin:nano' is not built in - .* builtin:tiny and builtin:lofi-nano"
    ):
        FAMILY.load("builtin:nano", revision="1", lyric_vocabulary=None, home=tmp_path)


def test_the_shipped_nano_is_small_half_precision_and_holds_what_its_outline_lists(tmp_path):
    files = [file for file in SHIPPED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= LARGEST_BYTES
    weights = SHIPPED.rglob("*.safetensors")
    kept = [tensor for path in weights for tensor in load_file(path).values()]
    assert {tensor.dtype for tensor in kept if tensor.is_floating_point()} == {torch.float16}
    modules = {
        spec.file.removesuffix(".onnx"): spec.module for spec in load_nano(tmp_path).graphs()
    }
    outlined = FAMILY.outline(builtin.NANO, revision="1", home=tmp_path)
    for component, weights in outlined.graphs.items():
        found = {name: value.numel() for name, value in modules[component].named_parameters()}
        assert found == {weight.name: weight.elements for weight in weights}, component
