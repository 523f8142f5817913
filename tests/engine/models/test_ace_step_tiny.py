"""`builtin:tiny` behaves as a base does: the same every time, finite, led by its conditions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import seeded
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.family import Conditioning
from lofi_engine.models.registry import FAMILIES

TARGETS = (
    *("speaker_embedder", "linear_q", "linear_k", "linear_v"),
    *("to_q", "to_k", "to_v", "to_out.0"),
)


@pytest.fixture(scope="module")
def tiny():
    return FAMILIES["ace-step-v1"].load(
        "builtin:tiny", revision="main", lyric_vocabulary=None, home=Path()
    )


def conditions(tiny, prompt: str, lyrics: str = "") -> Conditioning:
    states, mask = tiny.encode_text([prompt])
    ids = torch.tensor([tiny.lyric_ids(lyrics)])
    counts = torch.ones_like(ids) if lyrics else torch.zeros_like(ids)
    return Conditioning(states, mask, torch.zeros(1, tiny.speaker_width), ids, counts)


def latents(frames: int = 12, seed: int = 3) -> torch.Tensor:
    return torch.from_numpy(seeded.uniform(seed, "latents", (1, 8, 16, frames)))


def networks(base) -> list[torch.nn.Module]:
    return [base.transformer, base.dcae, base.vocoder, base.text.network]


def test_the_registry_is_imported_without_torch():
    code = "import sys, lofi_engine.models.registry; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_it_has_under_three_million_parameters(tiny):
    counted = sum(p.numel() for network in networks(tiny) for p in network.parameters())
    assert 500_000 < counted < 3_000_000


def test_its_weights_are_the_same_whatever_torch_drew_before(tiny):
    torch.manual_seed(1234)
    again = build_tiny()
    for first, second in zip(networks(tiny), networks(again), strict=True):
        state = second.state_dict()
        assert all(torch.equal(value, state[key]) for key, value in first.state_dict().items())


def test_its_weights_are_those_of_this_version():
    drawn = seeded.uniform(1, "transformer.t_block.1.weight", (384, 64))
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "c40f1faa14316cef"
    assert abs(drawn.mean()) < 0.02
    assert drawn.std() == pytest.approx(1.0, abs=0.02)


def test_audio_at_any_rate_becomes_whole_latent_frames(tiny):
    noise = 0.1 * seeded.uniform(5, "audio", (2, 48000))
    at_48k = tiny.encode_audio(noise, 48000)
    assert at_48k.shape == (8, 16, 11)
    assert at_48k.dtype == torch.float32
    assert tiny.encode_audio(noise[:, :44100], 44100).shape == (8, 16, 11)
    assert tiny.encode_audio(noise[:, :100], 44100).shape == (8, 16, 1)
    assert 0.3 < float(at_48k.std()) < 3


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (np.zeros((1, 4096), np.float32), r"shape \(1, 4096\); \(2, samples\) is needed"),
        (np.zeros((2, 0), np.float32), r"shape \(2, 0\)"),
        (np.full((2, 4096), np.nan, np.float32), "not finite"),
    ],
)
def test_audio_that_is_not_stereo_or_finite_is_refused(tiny, samples, text):
    with pytest.raises(StageError, match=text):
        tiny.encode_audio(samples, 44100)


def test_decoded_noise_is_audible_and_within_range(tiny):
    decoded = tiny.decode_audio(torch.cat((latents(), latents(seed=4))))
    assert decoded.shape == (2, 2, 12 * tiny.frame_samples)
    assert np.isfinite(decoded).all()
    assert 0.05 < np.abs(decoded).max() < 0.99
    assert decoded.std(axis=-1).min() > 0.005
    assert np.abs(decoded[0] - decoded[1]).max() > 0.01


@torch.no_grad()
def test_text_lyrics_and_timestep_change_the_velocity(tiny):
    noise = latents()
    plain = tiny.velocity(noise, torch.tensor([700.0]), conditions(tiny, "lofi, rainy night"))
    assert plain.shape == noise.shape
    assert 0.3 < float(plain.std()) < 3

    def apart(**changes) -> float:
        given = {"prompt": "lofi, rainy night", "lyrics": ""} | changes
        time = torch.tensor([given.pop("time", 700.0)])
        other = tiny.velocity(noise, time, conditions(tiny, **given))
        return float((other - plain).std() / plain.std())

    assert apart() == 0
    assert apart(prompt="jazz piano, 120 bpm") > 0.1
    assert apart(lyrics="[Verse]\nwalking home") > 0.02
    assert apart(time=100.0) > 0.05


def test_padding_beside_a_longer_prompt_does_not_change_a_prompt(tiny):
    alone, _ = tiny.encode_text(["lofi"])
    together, mask = tiny.encode_text(["lofi", "jazz piano, 120 bpm, very slow and sad"])
    used = int(mask[0].sum())
    assert used < mask.shape[1]
    assert torch.allclose(alone[0], together[0, :used], atol=1e-5)


def test_long_prompts_are_cut_at_256_tokens(tiny):
    states, mask = tiny.encode_text(["rain " * 400])
    assert states.shape == (1, 256, 64)
    assert int(mask.sum()) == 256


def test_the_text_tokenizer_pads_with_0_ends_with_1_and_reads_any_script(tiny):
    tokenizer = Tokenizer.from_str(tiny.bundle_files()["tokenizer.json"].decode())
    assert tokenizer.token_to_id("<pad>") == 0
    assert tokenizer.token_to_id("</s>") == 1
    ids = tokenizer.encode("lofi 夜 🎧 żal").ids
    assert ids[-1] == 1
    assert 2 not in ids
    assert tokenizer.decode(ids) == "lofi 夜 🎧 żal"
    assert max(tokenizer.get_vocab().values()) < tiny.configs.text["vocab_size"]


def test_instrumentals_are_one_zero_and_lyrics_open_with_261(tiny):
    assert tiny.lyric_ids("") == tiny.lyric_ids("[Instrumental]") == [0]
    ids = tiny.lyric_ids("[Verse]\nrain on the window")
    assert ids[:2] == [261, 259]
    assert ids[-1] == 2
    assert max(ids) < tiny.configs.transformer["lyric_encoder_vocab_size"]


def test_lyrics_are_cut_at_4096_tokens_and_texts_that_are_cut_are_said(tiny):
    fits = "z " * 2047  # opened by two tokens and closed by one, a letter and a blank each
    assert len(tiny.lyric_ids(fits.strip())) == 4096
    assert tiny.text_warnings("lofi", fits.strip()) == ()
    assert len(tiny.lyric_ids(fits + "z")) == 4096
    assert tiny.text_warnings("lofi", fits + "z") == (
        "lyrics cut: it has 4098 tokens, the first 4096 are kept",
    )
    room = tiny.text.count("rain")
    assert tiny.text_warnings("rain " * (256 // room), "") == ()
    (said,) = tiny.text_warnings("rain " * 400, "[Instrumental]")
    assert said == (
        f"prompt cut: it has {tiny.text.count('rain ' * 400)} tokens, the first 255 and the end "
        "are kept"
    )
    assert tiny.text_warnings("", "") == ()


def test_a_base_without_lyric_vocabulary_refuses_lyrics(tiny, monkeypatch):
    monkeypatch.setattr(tiny, "lyric_vocabulary", None)
    assert tiny.lyric_ids("[Instrumental]") == [0]
    assert "lyric_vocabulary.json" not in tiny.bundle_files()
    with pytest.raises(StageError, match=r"no lyric vocabulary.*base\.lyric_vocabulary"):
        tiny.lyric_ids("la la la")


def test_adapters_find_every_target_and_learn():
    from peft import LoraConfig, get_peft_model

    base = build_tiny()
    before = {name for name, _ in base.transformer.named_modules()}
    model = get_peft_model(
        base.transformer, LoraConfig(r=4, target_modules=list(TARGETS), init_lora_weights=False)
    )
    adapted = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if "lora_A" in name}
    adapted = {name.removeprefix("base_model.model.") for name in adapted}
    assert adapted <= before
    assert {next(t for t in TARGETS if name.endswith(t)) for name in adapted} == set(TARGETS)
    assert len(adapted) == 1 + 2 * 3 + 4 * 8

    base.transformer = model
    velocity = base.velocity(latents(), torch.tensor([500.0]), conditions(base, "lofi", "la la"))
    velocity.square().mean().backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert len(grads) == 2 * len(adapted)
    # The speaker is zeros, so its adapter alone has nothing to learn from.
    silent = [name for name, grad in grads.items() if grad is None or not grad.any()]
    assert all("speaker_embedder" in name for name in silent)

    with pytest.raises(StageError, match="carries an adapter"):
        base.graphs()
    base.transformer = model.merge_and_unload()
    assert len(base.graphs()) == 5


def test_an_unknown_builtin_is_refused_with_the_known_one():
    with pytest.raises(StageError, match=r"'builtin:huge' is not built in.*builtin:tiny"):
        FAMILIES["ace-step-v1"].load(
            "builtin:huge", revision="main", lyric_vocabulary=None, home=Path()
        )
