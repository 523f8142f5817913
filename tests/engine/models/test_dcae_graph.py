"""The DCAE's graph gives and takes what its attention keeps of the track."""

from __future__ import annotations

import pytest
import torch

from lofi_engine.models.ace_step_v1.dcae import build_dcae, decode_latents
from lofi_engine.models.ace_step_v1.dcae_graph import ALL, DcaeDecoderGraph, dcae_graph
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.onnx_graphs.export import export_graph
from tests.golden.fill import fill_
from tests.support.golden import distance, notes, tensors

CONFIG = notes("dcae_small")["config"]
CHANNELS = [8, 8, 16, 32]
BLOCKS = ["ResBlock", "EfficientViTBlock", "ResBlock", "EfficientViTBlock"]
TWO_STAGES = CONFIG | {
    "decoder_block_types": BLOCKS,
    "decoder_layers_per_block": [1, 1, 1, 1],
    "decoder_block_out_channels": CHANNELS,
    "decoder_qkv_multiscales": [[], [3], [], [5]],
}
NONE = CONFIG | {"decoder_block_types": "ResBlock"}
FRAMES = 12


def example(frames=FRAMES, batch=1):
    return torch.randn(batch, 8, 16, frames, generator=torch.Generator().manual_seed(frames))


def graph_of(config):
    return DcaeDecoderGraph(fill_(build_dcae(config))).eval()


@torch.no_grad()
def test_the_graph_decodes_as_the_reference_does():
    given = tensors("dcae_small")
    module = graph_of(CONFIG)
    log_mel, *_ = module(given["decode_latents"])
    assert distance(log_mel, given["decode_log_mel"]) < 1e-3
    defaults = dcae_graph(fill_(build_dcae(CONFIG)), example()).defaults
    again, *_ = module(given["decode_latents"], *defaults.values())
    assert torch.equal(again, log_mel)


@pytest.mark.parametrize("frames", [1, 2, 33])
@torch.no_grad()
def test_the_tiny_bases_graph_equals_its_network_with_and_without_the_defaults(frames):
    dcae = build_tiny().dcae
    spec = dcae_graph(dcae, example())
    latents = example(frames, batch=2)
    expected = decode_latents(dcae.decoder, latents)
    for optional in ((), tuple(spec.defaults.values())):
        log_mel, *_ = spec.module(latents, *optional)
        assert distance(log_mel, expected) < 1e-5


def test_inputs_and_outputs_are_named_for_each_attention():
    spec = dcae_graph(build_dcae(TWO_STAGES), example())
    assert list(spec.inputs) == ["latents", "own_frames", "others", "kept_frames"]
    assert list(spec.defaults) == ["own_frames", "others", "kept_frames"]
    assert spec.outputs == ("mel_spectrogram", *(f"inside_{index}" for index in range(2)))
    # Heads of every scale of the widest stage: 2 x 32 / 8.
    assert spec.inputs["others"].shape[1:] == spec.module.sums_shape == (2, 8, 9, 8)
    assert spec.defaults["own_frames"].tolist() == [[0, ALL]] * 2
    assert spec.defaults["kept_frames"].tolist() == [ALL] * 2
    assert spec.defaults["others"].tolist() == []


@torch.no_grad()
def test_a_decoder_without_attention_is_plain():
    dcae = fill_(build_dcae(NONE))
    spec = dcae_graph(dcae, example())
    assert list(spec.inputs) == ["latents"]
    assert spec.outputs == ("mel_spectrogram",)
    assert not spec.defaults
    found = spec.module(example())
    assert isinstance(found, torch.Tensor)
    assert distance(found, decode_latents(dcae.decoder, example())) < 1e-6


@pytest.mark.parametrize("config", [CONFIG, TWO_STAGES], ids=["one stage", "two stages"])
@torch.no_grad()
def test_sums_over_parts_add_up_to_the_sum_over_all(config):
    module, latents = graph_of(config), example()
    attentions = module.sums_shape[0]
    _, *expected = module(latents)
    others = torch.zeros(1, *module.sums_shape)
    for index in range(attentions):
        parts = []
        for part in ((0, 5), (5, FRAMES)):
            own_frames = torch.zeros(attentions, 2, dtype=torch.int64)
            own_frames[index] = torch.tensor(part)
            # Of what comes after the sums wanted, one frame is enough.
            kept = torch.where(torch.arange(attentions) < index, FRAMES, 1)
            log_mel, *inside = module(latents, own_frames, others, kept)
            assert log_mel.shape[-1] == 8
            parts.append(inside[index])
        assert min(float(part.abs().max()) for part in parts) > 0
        assert distance(parts[0] + parts[1], expected[index]) < 1e-5
        assert parts[0].dtype == torch.float32
        others[0, index] = expected[index][0]


@pytest.mark.parametrize("config", [CONFIG, TWO_STAGES], ids=["one stage", "two stages"])
@torch.no_grad()
def test_sums_handed_in_stand_for_frames_counted_elsewhere(config):
    module, latents = graph_of(config), example(batch=2)
    expected, *inside = module(latents[:1])
    sums, every = torch.cat(inside)[None], torch.full((len(inside),), ALL)
    no_frame = torch.zeros(len(inside), 2, dtype=torch.int64)
    log_mel, *nothing = module(latents[:1], no_frame, sums, every)
    assert distance(log_mel, expected) < 1e-5
    assert all(not part.any() for part in nothing)
    # In several pieces, and for every row.
    half = torch.cat([sums / 4, sums * 3 / 4])
    log_mel, *_ = module(torch.cat([latents[:1], latents[:1]]), no_frame, half, every)
    assert distance(log_mel[1:], expected) < 1e-5
    # What is handed in matters: the other row's sums give another sound.
    _, *of_other = module(latents[1:])
    changed, *_ = module(latents[:1], no_frame, torch.cat(of_other)[None], every)
    assert distance(changed, expected) > 1e-3


@torch.no_grad()
def test_nothing_is_kept_from_one_call_to_the_next():
    module, latents = graph_of(CONFIG), example()
    expected, _ = module(latents)
    no_frame = torch.zeros(1, 2, dtype=torch.int64)
    module(latents, no_frame, torch.ones(1, *module.sums_shape), torch.tensor([3]))
    assert torch.equal(module(latents)[0], expected)


@pytest.mark.pipeline
def test_attention_in_two_stages_runs_in_onnx_runtime(tmp_path):
    import onnxruntime

    spec = dcae_graph(fill_(build_dcae(TWO_STAGES)), example(batch=2))
    export_graph(spec, tmp_path)  # compares every output with torch
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(tmp_path / spec.file, options)
    assert [value.name for value in session.get_inputs()] == ["latents"]
    latents = example(20)
    found = session.run(None, {"latents": latents.numpy()})
    with torch.no_grad():
        expected = spec.module(latents)
    for one, other in zip(found, expected, strict=True):
        assert distance(torch.from_numpy(one), other) < 1e-4
