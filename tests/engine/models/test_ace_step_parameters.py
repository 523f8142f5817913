"""Weights enumerated from configurations, against the checkpoint's keys and the real networks."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.configurations import builtin_configs
from lofi_engine.models.ace_step_v1.parameters import (
    ENCODING_ONLY,
    NEVER_RUN,
    TRAINING_ONLY,
    outline,
)
from lofi_engine.models.ace_step_v1.published import (
    DCAE,
    PARTS,
    PUBLISHED,
    REPOSITORY,
    TEXT,
    TRANSFORMER,
    VOCODER,
)
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.outline import count
from lofi_engine.models.registry import FAMILIES
from tests.support.exported_tiny import exported_tiny

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "ace_step_v1_state_dict.json").read_text()
)
HUB_MODEL = f"hf:{REPOSITORY}"
FAMILY = FAMILIES["ace-step-v1"]


@pytest.fixture(scope="module")
def published():
    return outline(PUBLISHED, "published")


@pytest.fixture(scope="module")
def tiny():
    return outline(builtin_configs(), "tiny")


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_configs(folder, configs):
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(configs[part]))


def test_names_and_shapes_are_exactly_those_of_the_published_checkpoint(published):
    listed = [weight for part in published.graphs.values() for weight in part]
    listed += [weight for part in published.left_out.values() for weight in part]
    found = {weight.name: weight.shape for weight in listed}
    assert len(found) == len(listed)
    expected = {
        # Weight norm worked out; UMT5's table has two names there.
        key.replace("weight_v", "weight"): tuple(shape)
        for part in GOLDEN.values()
        for key, shape in part["keys"].items()
        if not key.endswith("weight_g") and key != "shared.weight"
    }
    assert found == expected


def test_every_key_the_published_configuration_has_is_the_golden_ones():
    assert PUBLISHED[TRANSFORMER] == GOLDEN[TRANSFORMER]["config"]
    assert PUBLISHED[DCAE] == GOLDEN[DCAE]["config"]
    assert PUBLISHED[TEXT] == GOLDEN[TEXT]["config"]
    assert tuple(PUBLISHED) == PARTS == tuple(checkpoint.configs_by_folder(build_tiny()))


def test_the_published_graphs_have_these_parameters(published):
    assert {name: count(weights) for name, weights in published.graphs.items()} == {
        "text_encoder": 281_861_376,
        "transformer_encoder": 95_694_336,
        "transformer_decoder": 2_492_733_056,
        "dcae_decoder": 79_144_194,
        "vocoder": 102_977_697,
    }
    assert round(sum(map(count, published.graphs.values())) / 1e6, 1) == 3052.4


def test_what_is_left_out_is_counted_by_its_reason(published):
    assert {reason: count(weights) for reason, weights in published.left_out.items()} == {
        NEVER_RUN: 629_391_360,
        TRAINING_ONLY: 87_840_512,
        ENCODING_ONLY: 77_801_480,
    }


def test_the_tiny_graphs_modules_hold_exactly_the_weights_listed(tiny):
    modules = {Path(spec.file).stem: spec.module for spec in build_tiny().graphs()}
    assert set(modules) == set(tiny.graphs)
    for component, weights in tiny.graphs.items():
        found = {name: value.numel() for name, value in modules[component].named_parameters()}
        assert found == {weight.name: weight.elements for weight in weights}, component


def test_the_tiny_exported_graphs_hold_the_weights_listed_and_little_else(tiny):
    import onnx_ir as ir

    folder, _, _ = exported_tiny()
    for component, weights in tiny.graphs.items():
        graph = ir.load(folder / f"{component}.onnx").graph
        held = {
            name: math.prod(value.const_value.shape)
            for name, value in graph.initializers.items()
            if value.const_value.dtype.is_floating_point()
        }
        listed = {weight.name: weight.elements for weight in weights}
        # The exporter merges equal constants (an untrained base's biases are all zero) and gives
        # the modulation's tables, an axis wider, names of its own.
        lacking = {weight.name for weight in weights if weight.name not in held}
        assert all(
            len(weight.shape) == 1 or weight.name.endswith("scale_shift_table")
            for weight in weights
            if weight.name in lacking
        ), component
        assert all(held[name] == listed[name] for name in listed if name not in lacking), component
        tables = sum(listed[name] for name in lacking if name.endswith("scale_shift_table"))
        # What it adds: the optional inputs' defaults, frequencies, scalars.
        added = sum(size for name, size in held.items() if name not in listed) - tables
        assert added <= 200, component


def test_matrices_and_tables_are_told_from_the_rest(published):
    uses = {weight.name: weight.use for weights in published.graphs.values() for weight in weights}
    assert uses["encoder.embed_tokens.weight"] == uses["lyric_embs.weight"] == "table"
    assert uses["transformer_blocks.23.ff.point_conv.conv.weight"] == "matrix"
    assert uses["t_block.1.weight"] == uses["proj_in.early_conv_layers.2.weight"] == "matrix"
    assert uses["transformer_blocks.0.ff.depth_conv.conv.weight"] == "other"
    assert uses["final_layer.linear.bias"] == uses["head.conv_pre.weight"] == "other"


def test_the_builtin_base_is_known_by_its_own_configuration(tiny, tmp_path):
    found = FAMILY.outline("builtin:tiny", revision="main", home=tmp_path)
    assert found.graphs == tiny.graphs
    assert found.source == "the configuration of builtin:tiny"


def test_the_published_base_is_known_without_being_there(published, empty_cache, tmp_path):
    found = FAMILY.outline(HUB_MODEL, revision="main", home=tmp_path)
    assert found.graphs == published.graphs
    assert found.source == (
        f"the published configuration of {REPOSITORY} (it is not in the Hub's cache)"
    )


def test_what_is_in_the_cache_goes_before_what_is_known(tiny, empty_cache, tmp_path):
    repository = empty_cache / f"models--{REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    write_configs(repository / "snapshots" / ("a" * 40), builtin_configs())
    found = FAMILY.outline(HUB_MODEL, revision="main", home=tmp_path)
    assert found.graphs == tiny.graphs
    assert found.source == f"the configuration of {REPOSITORY} at aaaaaaaaaaaa"


def test_a_folder_is_known_by_its_config_files(tiny, tmp_path):
    write_configs(tmp_path / "base", builtin_configs())
    found = FAMILY.outline("base", revision="main", home=tmp_path)
    assert found.graphs == tiny.graphs
    assert found.source == "the configuration in base"


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("builtin:huge", r"'builtin:huge' is not built in"),
        ("hf:other/base", r"the configuration of other/base is not in the Hub's cache - fetch it"),
        ("absent", r"cannot read .*absent.ace_step_transformer.config\.json: No such file"),
    ],
)
def test_a_base_of_unknown_configuration_is_named(model, error, empty_cache, tmp_path):
    with pytest.raises(StageError, match=error):
        FAMILY.outline(model, revision="main", home=tmp_path)


@pytest.mark.parametrize(
    ("part", "change", "error"),
    [
        (TRANSFORMER, {"num_layers": None}, "not of the family ace-step-v1"),
        (DCAE, {"decoder_block_types": ["Other"] * 4}, "decoder_block_types .* not of ACE-Step"),
        (DCAE, {"attention_head_dim": 0}, "not of the family ace-step-v1"),
        (TEXT, {"d_kv": "wide"}, "not of the family ace-step-v1"),
        (VOCODER, {"depths": [1]}, "not of the family ace-step-v1"),
    ],
)
def test_a_configuration_of_something_else_is_refused(part, change, error, tmp_path):
    configs = {name: dict(values) for name, values in builtin_configs().items()}
    configs[part].update(change)
    write_configs(tmp_path / "base", configs)
    with pytest.raises(StageError, match=error):
        FAMILY.outline("base", revision="main", home=tmp_path)


def test_a_missing_key_is_named(tmp_path):
    write_configs(tmp_path / "base", builtin_configs())
    for part in (TRANSFORMER, DCAE, TEXT):
        path = tmp_path / "base" / part / "config.json"
        whole = path.read_text()
        path.write_text("{}")
        with pytest.raises(StageError, match="lacks "):
            FAMILY.outline("base", revision="main", home=tmp_path)
        path.write_text(whole)
    path.write_text("no JSON")
    with pytest.raises(StageError, match=r"umt5-base.config\.json: not JSON"):
        FAMILY.outline("base", revision="main", home=tmp_path)
    shutil.rmtree(tmp_path / "base" / TEXT)
    with pytest.raises(StageError, match="cannot read"):
        FAMILY.outline("base", revision="main", home=tmp_path)
