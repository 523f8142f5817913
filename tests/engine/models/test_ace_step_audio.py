"""The vocoder, the log-mel and the DCAE compute what the reference computes."""

from __future__ import annotations

import pytest
import soxr
import torch

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.config import VocoderConfig
from lofi_engine.models.ace_step_v1.dcae import build_dcae, decode_latents
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.ace_step_v1.weight_norm import remove_weight_norm
from tests.golden.fill import fill_
from tests.support.golden import distance, notes, shapes, tensors
from tests.support.small_networks import small_audio_base, small_dcae, small_vocoder

TOLERANCE = 1e-3


def test_small_networks_have_the_reference_keys_and_shapes():
    assert shapes(small_vocoder()) == notes("vocoder_small")["keys"]
    assert shapes(small_dcae()) == notes("dcae_small")["keys"]


def test_published_sizes_have_the_reference_keys_and_shapes():
    published = notes("ace_step_v1_state_dict")
    with torch.device("meta"):
        assert shapes(Vocoder(VocoderConfig())) == published["music_vocoder"]["keys"]
        built = build_dcae(published["music_dcae_f8c8"]["config"])
    assert shapes(built) == published["music_dcae_f8c8"]["keys"]


@torch.no_grad()
def test_log_mel_equals_the_reference():
    given = tensors("vocoder_small")
    assert distance(small_vocoder().mel_transform(given["waveform"]), given["log_mel"]) < TOLERANCE


@torch.no_grad()
def test_vocoder_equals_the_reference():
    given = tensors("vocoder_small")
    assert distance(small_vocoder()(given["decode_input"]), given["decode_output"]) < TOLERANCE


@torch.no_grad()
def test_removing_weight_norm_changes_no_sample():
    given = tensors("vocoder_small")
    plain = fill_(Vocoder(small_vocoder().config)).eval()
    remove_weight_norm(plain)
    assert not any("weight_g" in key for key in plain.state_dict())
    assert distance(plain(given["decode_input"]), small_vocoder()(given["decode_input"])) < 1e-5


@torch.no_grad()
def test_decoding_latents_equals_the_reference():
    given = tensors("dcae_small")
    log_mel = decode_latents(small_dcae().decoder, given["decode_latents"])
    assert distance(log_mel, given["decode_log_mel"]) < TOLERANCE
    waveform = small_vocoder()(given["decode_log_mel"][0])[:, 0]
    assert distance(waveform, given["decode_waveform_44k"]) < TOLERANCE


def test_encoding_audio_of_48_khz_equals_the_reference():
    given = tensors("dcae_small")
    latents = small_audio_base().encode_audio(given["waveform_48k"][0].numpy(), 48_000)
    assert distance(latents[None], given["latents"]) < TOLERANCE


def test_decoding_audio_equals_the_reference():
    given = tensors("dcae_small")
    waveform = small_audio_base().decode_audio(given["decode_latents"])
    assert distance(torch.from_numpy(waveform)[0], given["decode_waveform_44k"]) < TOLERANCE


def test_a_sharper_resampler_would_not():
    """Why `encode_audio` has a resampler of its own."""
    given = tensors("dcae_small")
    sharp = soxr.resample(given["waveform_48k"][0].numpy().T, 48_000, 44_100).T
    latents = small_audio_base().encode_audio(sharp, 44_100)
    assert distance(latents[None], given["latents"]) > 10 * TOLERANCE


def test_a_vocoder_of_another_kind_is_refused_by_its_values():
    with pytest.raises(StageError, match="use_template=True"):
        Vocoder(VocoderConfig(use_template=True))
    with pytest.raises(StageError, match="multiply to 128, but hop_length is 512"):
        Vocoder(VocoderConfig(upsample_rates=(8, 8, 2), upsample_kernel_sizes=(16, 16, 4)))
