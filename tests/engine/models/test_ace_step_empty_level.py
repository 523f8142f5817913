"""A DCAE whose first level has no layers: counted, exported, and played in pieces."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch

from lofi_engine.models.ace_step_v1.dcae import build_dcae, decode_latents, encode_mel
from lofi_engine.models.ace_step_v1.dcae_graph import DcaeDecoderGraph, dcae_graph
from lofi_engine.models.ace_step_v1.dcae_parameters import dcae_decoder, dcae_encoder
from lofi_engine.onnx_graphs.export import export_graph
from lofi_runtime.bundle import Bundle
from lofi_runtime.dcae import SessionDcae
from lofi_runtime.pipeline.decode import DCAE_OVERLAP, Overlap
from lofi_runtime.pipeline.decode import decode_latents as decode_in_pieces
from lofi_runtime.sessions import Sessions
from tests.golden.fill import fill_
from tests.support.golden import distance

RESIDUAL, ATTENTION = "ResBlock", "EfficientViTBlock"
UPSAMPLES, DOWNSAMPLES = ("pixel_shuffle", "interpolate"), ("Conv", "pixel_unshuffle")


def config_of(last=RESIDUAL, channels=(32, 32, 64, 128), layers=(0, 2, 3, 4), **changes):
    """Give the small base's DCAE as config.json says it."""
    shape = {
        f"{half}_{key}": list(value)
        for half in ("encoder", "decoder")
        for key, value in {
            "block_types": [RESIDUAL] * 3 + [last],
            "block_out_channels": channels,
            "layers_per_block": layers,
            "qkv_multiscales": [[], [], [5], [5]],
        }.items()
    }
    resampling = {"upsample_block_type": "pixel_shuffle", "downsample_block_type": "Conv"}
    return {"in_channels": 2, "latent_channels": 8, "attention_head_dim": 32} | (
        shape | resampling | changes
    )


def listed(config):
    weights = [*dcae_encoder(config), *dcae_decoder(config)]
    found = {weight.name: weight.shape for weight in weights}
    assert len(found) == len(weights)
    return found


def held(config):
    return {name: tuple(value.shape) for name, value in build_dcae(config).state_dict().items()}


@pytest.mark.parametrize(
    ("last", "layers", "upsample", "downsample"),
    [*product((RESIDUAL, ATTENTION), ((0, 2, 3, 4), (1, 1, 1, 1)), UPSAMPLES, DOWNSAMPLES)],
)
def test_the_listed_weights_are_the_real_networks(last, layers, upsample, downsample):
    resampling = {"upsample_block_type": upsample, "downsample_block_type": downsample}
    config = config_of(last, layers=layers, channels=(32, 64, 64, 128), **resampling)
    assert listed(config) == held(config)


def test_the_outermost_convolutions_of_an_empty_first_level_resample():
    found = listed(config_of())
    assert found["encoder.conv_in.conv.weight"] == (32, 2, 3, 3)
    assert found["decoder.conv_out.conv.weight"] == (4 * 2, 32, 3, 3)
    assert found["decoder.norm_out.weight"] == (32,)
    assert not [name for name in found if "blocks.0." in name]


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_an_empty_level_elsewhere_is_refused_with_its_layers(half):
    config = config_of() | {f"{half}_layers_per_block": [1, 0, 1, 1]}
    with pytest.raises(
        ValueError, match=rf"{half}_layers_per_block \[1, 0, 1, 1\]: only the first"
    ):
        listed(config)


@torch.no_grad()
def test_a_latent_frame_is_still_eight_mel_frames():
    dcae = fill_(build_dcae(config_of()))
    latents = encode_mel(dcae.encoder, torch.zeros(1, 2, 128, 40))
    assert latents.shape == (1, 8, 16, 5)
    assert decode_latents(dcae.decoder, latents).shape == (1, 2, 128, 40)


@cache
def dcae_of(last):
    return fill_(build_dcae(config_of(last)))


@pytest.fixture(scope="module", params=[RESIDUAL, ATTENTION])
def played(request, tmp_path_factory):
    """The DCAE, its exported graph as the runtime plays it, and the folder."""
    folder = tmp_path_factory.mktemp("empty-level")
    dcae = dcae_of(request.param)
    export_graph(dcae_graph(dcae, latents_of(12)), folder)
    return dcae, SessionDcae(Sessions(Bundle(folder, None, verified=False), threads=1))


def latents_of(frames):
    return torch.randn(1, 8, 16, frames, generator=torch.Generator().manual_seed(frames))


SHORT = Overlap(16, DCAE_OVERLAP.context_frames, DCAE_OVERLAP.fade_frames)


@torch.no_grad()
def test_its_graph_plays_as_torch_does_at_other_lengths(played):
    dcae, session = played
    assert session.attentions == DcaeDecoderGraph(dcae).sums_shape[0]
    heard = []
    for frames in (5, 40):
        mel = decode_latents(dcae.decoder, latents_of(frames))
        decode_in_pieces(latents_of(frames).numpy(), session, listen_to(heard))
        assert distance(torch.from_numpy(np.stack(heard, axis=1)), mel) < 1e-4
        heard.clear()


def test_a_track_in_pieces_is_the_whole_track(played):
    _, session = played
    heard = {}
    for name, overlap in (("pieces", SHORT), ("whole", DCAE_OVERLAP)):
        mels = []
        decode_in_pieces(latents_of(60).numpy(), session, listen_to(mels), dcae_overlap=overlap)
        heard[name] = torch.from_numpy(np.stack(mels, axis=1))
    assert distance(heard["pieces"], heard["whole"]) < 1e-4


def listen_to(heard):
    def listen(mel):
        heard.append(mel)
        return np.zeros(512 * mel.shape[-1], np.float32)

    return listen
