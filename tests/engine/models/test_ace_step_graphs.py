"""The graph wrappers equal the eager networks, leave them alone, and export."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from lofi_engine.models.ace_step_v1.dcae import decode_latents
from lofi_engine.models.ace_step_v1.text_erg import scaled_queries
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.onnx_graphs.export import export_graph
from lofi_engine.onnx_graphs.sessions import GraphSession

CONTRACT = {
    "text_encoder.onnx": ["input_ids", "attention_mask"],
    "transformer_encoder.onnx": [
        "encoder_text_hidden_states",
        "text_attention_mask",
        "speaker_embeds",
        "lyric_token_idx",
        "lyric_mask",
    ],
    "transformer_decoder.onnx": [
        "hidden_states",
        "attention_mask",
        "encoder_hidden_states",
        "encoder_hidden_mask",
        "timestep",
    ],
    "dcae_decoder.onnx": ["latents"],
    "vocoder.onnx": ["mel_spectrogram"],
}


@pytest.fixture(scope="module")
def base():
    return build_tiny()


@pytest.fixture(scope="module")
def graphs(base):
    return {spec.file: spec for spec in base.graphs()}


def eager(base, file: str):
    def text(ids, mask, query_scale):
        layers = base.transformer.config.erg.text_encoder_layers
        with scaled_queries(base.text.network.encoder, layers, query_scale):
            return base.text.network(ids, mask).last_hidden_state

    def decode(*inputs):
        return base.transformer.decode(*inputs[:-1], query_scale=inputs[-1])

    return {
        "text_encoder.onnx": text,
        "transformer_encoder.onnx": base.transformer.encode,
        "transformer_decoder.onnx": decode,
        "dcae_decoder.onnx": lambda latents, *_: decode_latents(base.dcae.decoder, latents),
        "vocoder.onnx": base.vocoder,
    }[file]


def tuple_of(outputs) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def resized(spec, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    inputs = {}
    for name, tensor in spec.inputs.items():
        for axis, axis_name in spec.dynamic.get(name, {}).items():
            size = sizes.get(axis_name, tensor.shape[axis])
            index = torch.arange(size) % tensor.shape[axis]
            tensor = tensor.index_select(axis, index)
        inputs[name] = tensor
    return inputs


SIZES = [
    {"batch": 1, "tokens": 1, "lyric_tokens": 1, "frames": 1, "context": 3, "mel_frames": 1},
    {"batch": 3, "tokens": 9, "lyric_tokens": 31, "frames": 33, "context": 41, "mel_frames": 9},
]


def test_names_order_and_dtypes_are_the_contract(graphs):
    needed = {
        file: [name for name in spec.inputs if name not in spec.defaults]
        for file, spec in graphs.items()
    }
    assert needed == CONTRACT
    integers = {"input_ids", "lyric_token_idx", "lyric_mask", "text_attention_mask"}
    for file, spec in graphs.items():
        for name in needed[file]:
            whole = name in integers or (file == "text_encoder.onnx")
            assert spec.inputs[name].dtype == (torch.int64 if whole else torch.float32), name
            assert spec.dynamic[name][0] == "batch"
    assert graphs["transformer_encoder.onnx"].outputs == (
        "encoder_hidden_states",
        "encoder_hidden_mask",
    )
    assert graphs["transformer_decoder.onnx"].outputs == ("sample",)
    assert graphs["dcae_decoder.onnx"].outputs[0] == "mel_spectrogram"
    weights = {file: spec.external_weights for file, spec in graphs.items()}
    assert weights.pop("transformer_decoder.onnx") == "transformer_decoder_weights.bin"
    assert set(weights.values()) == {None}


@pytest.mark.parametrize("file", CONTRACT)
@torch.no_grad()
def test_a_wrapper_equals_the_eager_network(base, graphs, file):
    spec = graphs[file]
    for sizes in SIZES:
        given = resized(spec, sizes)
        if file == "dcae_decoder.onnx":
            given = {"latents": given["latents"]} | dict(spec.defaults)  # a whole track
        inputs = given.values()
        expected = tuple_of(eager(base, file)(*inputs))
        for found, wanted in zip(tuple_of(spec.module(*inputs)), expected, strict=False):
            assert found.dtype == torch.float32
            scale = max(1.0, float(wanted.abs().max()))
            assert float((found - wanted).abs().max()) < 1e-5 * scale


def test_three_graphs_take_a_scale_of_queries_that_is_one_where_nothing_is_said(graphs):
    for file in ("text_encoder.onnx", "transformer_encoder.onnx", "transformer_decoder.onnx"):
        assert list(graphs[file].inputs)[-1] == "query_scale"
        assert graphs[file].defaults["query_scale"].tolist() == [1.0]


@pytest.mark.parametrize("weak", [torch.tensor([0.01]), torch.tensor([0.01, 0.01])])
@torch.no_grad()
def test_one_scale_serves_every_row_or_each_has_its_own(graphs, weak):
    for file in ("text_encoder.onnx", "transformer_encoder.onnx", "transformer_decoder.onnx"):
        spec = graphs[file]
        given = list(spec.inputs.values())[:-1]
        plain = tuple_of(spec.module(*given, torch.ones(1)))[0]
        weakened = tuple_of(spec.module(*given, weak))[0]
        mixed = tuple_of(spec.module(*given, torch.tensor([1.0, 0.01])))[0]
        assert torch.allclose(mixed[0], plain[0], atol=1e-5)
        assert torch.allclose(mixed[1], weakened[1], atol=1e-5)
        assert not torch.allclose(plain[1], weakened[1], atol=1e-3)


def test_what_never_runs_is_left_out_and_names_stay_the_checkpoints(base, graphs):
    state = base.transformer.state_dict()
    decoder = graphs["transformer_decoder.onnx"].module.state_dict()
    encoder = graphs["transformer_encoder.onnx"].module.state_dict()
    left_out = state.keys() - decoder.keys() - encoder.keys()
    assert (decoder.keys() | encoder.keys()) <= state.keys()
    assert all(".add_" in key or "to_add_out" in key or "projectors" in key for key in left_out)
    assert len(left_out) == 4 * 8 + 12
    vocoder = graphs["vocoder.onnx"].module.state_dict()
    assert not any(key.endswith(("weight_g", "weight_v")) or "mel_" in key for key in vocoder)


def test_pointwise_convolutions_became_linear_layers_that_share_their_weights(base, graphs):
    decoder = graphs["transformer_decoder.onnx"].module
    convolutions = [m for m in decoder.modules() if isinstance(m, torch.nn.Conv1d)]
    assert {conv.kernel_size for conv in convolutions} == {(3,)}
    images = [m for m in decoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [conv.kernel_size for conv in images] == [(16, 1)]
    linear = decoder.transformer_blocks[0].ff.inverted_conv.conv
    conv = base.transformer.transformer_blocks[0].ff.inverted_conv.conv
    assert isinstance(linear, torch.nn.Linear)
    assert linear.weight.data_ptr() == conv.weight.data_ptr()


def test_listing_graphs_does_not_change_the_base():
    base = build_tiny()
    parts = (base.transformer, base.dcae, base.vocoder)
    before = [{name: type(m) for name, m in part.named_modules()} for part in parts]
    keys = [part.state_dict().keys() for part in parts]
    processors = [getattr(m, "processor", None) for m in base.dcae.modules()]
    base.graphs()
    assert before == [{name: type(m) for name, m in part.named_modules()} for part in parts]
    assert keys == [part.state_dict().keys() for part in parts]
    assert processors == [getattr(m, "processor", None) for m in base.dcae.modules()]


@torch.no_grad()
def test_rows_without_a_single_frame_that_counts_stay_finite(graphs):
    module = graphs["transformer_decoder.onnx"].module
    inputs = dict(graphs["transformer_decoder.onnx"].inputs)
    inputs["attention_mask"] = torch.zeros_like(inputs["attention_mask"])
    inputs["attention_mask"][0, :6] = 1
    assert torch.isfinite(module(*inputs.values())).all()


@pytest.mark.pipeline
@pytest.mark.parametrize("file", CONTRACT)
def test_a_graph_runs_at_other_sizes_than_it_was_exported_at(graphs, tmp_path, file):
    spec = graphs[file]
    if file == "transformer_decoder.onnx":
        # All blocks are alike; those that guidance weakens export in half the time.
        spec = replace(spec, module=copy.copy(spec.module))
        spec.module.__dict__["_modules"] = dict(spec.module._modules)
        spec.module.transformer_blocks = spec.module.transformer_blocks[:3]
    record = export_graph(spec, tmp_path)
    assert all(found.relative_difference < 1e-4 for found in record.parity)
    if "timestep" in spec.inputs:
        session = GraphSession(tmp_path / file)
        given = resized(spec, SIZES[1])
        given["timestep"] = given["timestep"][:1]  # one for the whole batch
        with torch.no_grad():
            expected = spec.module(*given.values()).numpy()
        found = session.run({name: tensor.numpy() for name, tensor in given.items()})["sample"]
        assert np.abs(found - expected).max() < 1e-4
