"""The vocoder, the log-mel and the DCAE compute what the reference computes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import soxr
import torch

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.config import VocoderConfig
from lofi_engine.models.ace_step_v1.dcae import build_dcae, decode_latents, encode_mel
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.ace_step_v1.weight_norm import remove_weight_norm
from tests.golden.fill import fill_
from tests.support.golden import distance, notes, shapes, tensors

TOLERANCE = 1e-3
RESAMPLED = 1e-2


@cache
def vocoder() -> Vocoder:
    return fill_(Vocoder(VocoderConfig.from_mapping(notes("vocoder_small")["config"]))).eval()


@cache
def dcae() -> torch.nn.Module:
    return fill_(build_dcae(notes("dcae_small")["config"]))


def test_small_networks_have_the_reference_keys_and_shapes():
    assert shapes(vocoder()) == notes("vocoder_small")["keys"]
    assert shapes(dcae()) == notes("dcae_small")["keys"]


def test_published_sizes_have_the_reference_keys_and_shapes():
    published = notes("ace_step_v1_state_dict")
    with torch.device("meta"):
        assert shapes(Vocoder(VocoderConfig())) == published["music_vocoder"]["keys"]
        built = build_dcae(published["music_dcae_f8c8"]["config"])
    assert shapes(built) == published["music_dcae_f8c8"]["keys"]


@torch.no_grad()
def test_log_mel_equals_the_reference():
    given = tensors("vocoder_small")
    assert distance(vocoder().mel_transform(given["waveform"]), given["log_mel"]) < TOLERANCE


@torch.no_grad()
def test_vocoder_equals_the_reference():
    given = tensors("vocoder_small")
    assert distance(vocoder()(given["decode_input"]), given["decode_output"]) < TOLERANCE


@torch.no_grad()
def test_removing_weight_norm_changes_no_sample():
    given = tensors("vocoder_small")
    plain = fill_(Vocoder(vocoder().config)).eval()
    remove_weight_norm(plain)
    assert not any("weight_g" in key for key in plain.state_dict())
    assert distance(plain(given["decode_input"]), vocoder()(given["decode_input"])) < 1e-5


@torch.no_grad()
def test_decoding_latents_equals_the_reference():
    given = tensors("dcae_small")
    log_mel = decode_latents(dcae().decoder, given["decode_latents"])
    assert distance(log_mel, given["decode_log_mel"]) < TOLERANCE
    waveform = vocoder()(given["decode_log_mel"][0])[:, 0]
    assert distance(waveform, given["decode_waveform_44k"]) < TOLERANCE


def windowed_sinc(samples: np.ndarray) -> np.ndarray:
    """Resample (channels, samples) from 48 to 44.1 kHz as the fixture's note says."""
    cutoff, width = 44100 * 0.99, 6
    count = int(np.ceil(samples.shape[1] * 147 / 160))
    reach = int(np.ceil(width * 48000 / cutoff)) + 1
    centre = np.arange(count) * (160 / 147)
    taps = np.floor(centre).astype(int)[:, None] + np.arange(-reach, reach + 2)
    phase = np.clip((taps - centre[:, None]) / 48000 * cutoff, -width, width)
    kernel = np.sinc(phase) * np.cos(np.pi * phase / width / 2) ** 2 * cutoff / 48000
    padded = np.pad(samples.astype(np.float64), ((0, 0), (reach + 1, reach + 3)))
    return np.einsum("cnk,nk->cn", padded[:, taps + reach + 1], kernel).astype(np.float32)


def encoded(samples: np.ndarray) -> torch.Tensor:
    padded = np.pad(samples, ((0, 0), (0, -samples.shape[1] % 4096)))
    log_mel = vocoder().mel_transform(torch.from_numpy(padded))[None]
    return encode_mel(dcae().encoder, log_mel)


@torch.no_grad()
def test_encoding_audio_equals_the_reference():
    given = tensors("dcae_small")
    latents = encoded(windowed_sinc(given["waveform_48k"][0].numpy()))
    assert distance(latents, given["latents"]) < TOLERANCE


@torch.no_grad()
def test_a_sharper_resampler_changes_the_latents_little():
    # The reference's short kernel dulls the top mel bands; soxr does not.
    given = tensors("dcae_small")
    latents = encoded(soxr.resample(given["waveform_48k"][0].numpy().T, 48000, 44100).T)
    error = (latents - given["latents"]).square().mean().sqrt() / given["latents"].std()
    assert error < RESAMPLED


def test_a_vocoder_of_another_kind_is_refused_by_its_values():
    with pytest.raises(StageError, match="use_template=True"):
        Vocoder(VocoderConfig(use_template=True))
    with pytest.raises(StageError, match="multiply to 128, but hop_length is 512"):
        Vocoder(VocoderConfig(upsample_rates=(8, 8, 2), upsample_kernel_sizes=(16, 16, 4)))
