"""The graph wrappers equal the eager networks, leave them alone, and export."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from lofi_engine.models.ace_step_v1.dcae import decode_latents
from lofi_engine.models.ace_step_v1.tiny import build_tiny

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
    return {
        "text_encoder.onnx": lambda ids, mask: base.text.network(ids, mask).last_hidden_state,
        "transformer_encoder.onnx": base.transformer.encode,
        "transformer_decoder.onnx": base.transformer.decode,
        "dcae_decoder.onnx": lambda latents: decode_latents(base.dcae.decoder, latents),
        "vocoder.onnx": base.vocoder,
    }[file]


def tuple_of(outputs) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def resized(spec, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    inputs = {}
    for name, tensor in spec.inputs.items():
        for axis, axis_name in spec.dynamic[name].items():
            index = torch.arange(sizes[axis_name]) % tensor.shape[axis]
            tensor = tensor.index_select(axis, index)
        inputs[name] = tensor
    return inputs


SIZES = [
    {"batch": 1, "tokens": 1, "lyric_tokens": 1, "frames": 1, "context": 3, "mel_frames": 1},
    {"batch": 3, "tokens": 9, "lyric_tokens": 31, "frames": 33, "context": 41, "mel_frames": 9},
]


def test_names_order_and_dtypes_are_the_contract(graphs):
    assert {file: list(spec.inputs) for file, spec in graphs.items()} == CONTRACT
    integers = {"input_ids", "lyric_token_idx", "lyric_mask", "text_attention_mask"}
    for file, spec in graphs.items():
        for name, tensor in spec.inputs.items():
            whole = name in integers or (file == "text_encoder.onnx")
            assert tensor.dtype == (torch.int64 if whole else torch.float32), name
            assert spec.dynamic[name][0] == "batch"
    assert graphs["transformer_encoder.onnx"].outputs == (
        "encoder_hidden_states",
        "encoder_hidden_mask",
    )
    assert graphs["transformer_decoder.onnx"].outputs == ("sample",)
    assert graphs["dcae_decoder.onnx"].outputs == ("mel_spectrogram",)
    weights = {file: spec.external_weights for file, spec in graphs.items()}
    assert weights.pop("transformer_decoder.onnx") == "transformer_decoder_weights.bin"
    assert set(weights.values()) == {None}


@pytest.mark.parametrize("file", CONTRACT)
@torch.no_grad()
def test_a_wrapper_equals_the_eager_network(base, graphs, file):
    spec = graphs[file]
    for sizes in SIZES:
        inputs = resized(spec, sizes).values()
        expected = tuple_of(eager(base, file)(*inputs))
        for found, wanted in zip(tuple_of(spec.module(*inputs)), expected, strict=True):
            assert found.dtype == torch.float32
            scale = max(1.0, float(wanted.abs().max()))
            assert float((found - wanted).abs().max()) < 1e-5 * scale


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


def export(spec, path):
    """Export quietly: torch's exporter prints and warns about itself."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                spec.module,
                tuple(spec.inputs.values()),
                dynamo=True,
                opset_version=21,
                input_names=list(spec.inputs),
                output_names=list(spec.outputs),
                dynamic_shapes=tuple(dict(spec.dynamic[name]) for name in spec.inputs),
                verbose=False,
            )
            program.save(path)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.pipeline
@pytest.mark.parametrize("file", CONTRACT)
def test_a_graph_runs_at_other_sizes_than_it_was_exported_at(graphs, tmp_path, file):
    import onnxruntime

    spec = graphs[file]
    if file == "transformer_decoder.onnx":
        # All blocks are alike; one exports in a quarter of the time.
        spec = replace(spec, module=copy.copy(spec.module))
        spec.module.__dict__["_modules"] = dict(spec.module._modules)
        spec.module.transformer_blocks = spec.module.transformer_blocks[:1]
    export(spec, tmp_path / file)
    session = onnxruntime.InferenceSession(tmp_path / file, providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == list(spec.inputs)
    for sizes in SIZES:
        given = resized(spec, sizes)
        tried = [given]
        if "timestep" in given:
            tried.append(given | {"timestep": given["timestep"][:1]})
        for inputs in tried:
            with torch.no_grad():
                expected = tuple_of(spec.module(*inputs.values()))
            found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
            for one, other in zip(found, expected, strict=True):
                assert one.shape == tuple(other.shape)
                assert np.abs(one - other.numpy()).max() < 1e-4
