from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.sinc_resample import resample_as_trained
from lofi_engine.training.ssl_features import KINDS, find_ssl_model, load_ssl_model
from tests.support.tiny_ssl_models import add_weights, save_tiny_mert, save_tiny_mhubert

SAVE = {"mert": save_tiny_mert, "mhubert": save_tiny_mhubert}
RATE = 48_000


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("ssl")
    return {name: save(place / name) for name, save in SAVE.items()}


def sound(seconds, seed=0):
    draws = np.random.default_rng(seed)
    noise = draws.standard_normal((2, round(seconds * RATE)))
    return (0.1 * noise + 0.05).astype(np.float32)


def network_of(folder):
    """The network as transformers itself loads it, without anything of ours."""
    from transformers import HubertModel

    return HubertModel.from_pretrained(folder, local_files_only=True).eval()


@pytest.mark.parametrize(
    ("name", "rate", "chunk", "seconds"),
    [("mert", 24_000, 120_000, 11.37), ("mhubert", 16_000, 480_000, 31.02)],
)
def test_features_are_what_the_network_says_of_each_padded_normalized_chunk(
    folders, name, rate, chunk, seconds
):
    heard = sound(seconds)
    found = load_ssl_model(name, str(folders[name]), folders[name].parent).features(heard, RATE)
    mono = torch.from_numpy(resample_as_trained(heard.mean(axis=0)[None], RATE, rate)[0])
    assert len(mono) == round(seconds * rate)
    wave = (mono - mono.mean()) / torch.sqrt(mono.var() + 1e-7)
    network, expected = network_of(folders[name]), []
    for start in range(0, len(wave), chunk):
        piece = wave[start : start + chunk]
        with torch.no_grad():
            states = network(F.pad(piece, (0, chunk - len(piece)))[None]).last_hidden_state[0]
        expected.append(states[: (len(piece) + 319) // 320])
    assert len(expected) == int(seconds * rate / chunk) + 1
    torch.testing.assert_close(found, torch.cat(expected), rtol=1e-5, atol=1e-5)
    # A whole chunk has as many frames as begin in it, or what the convolutions leave of them.
    assert len(found) == sum(map(len, expected))
    assert abs(len(found) - len(wave) / 320) <= len(expected)


def test_widths_and_frame_rates_are_each_model_s_own(folders):
    heard = sound(2.0)
    shapes = {
        name: load_ssl_model(name, str(folder), folder).features(heard, RATE).shape
        for name, folder in folders.items()
    }
    assert shapes == {"mert": (150, 24), "mhubert": (100, 16)}


def test_loudness_does_not_change_what_is_heard(folders):
    mert = load_ssl_model("mert", str(folders["mert"]), folders["mert"])
    heard = sound(1.0)
    louder = mert.features(3 * heard, RATE)
    torch.testing.assert_close(louder, mert.features(heard, RATE), rtol=1e-3, atol=1e-3)


def test_silence_is_heard_and_a_single_sample_is_not(folders):
    mert = load_ssl_model("mert", str(folders["mert"]), folders["mert"])
    assert mert.features(np.zeros((2, RATE), np.float32), RATE).isfinite().all()
    with pytest.raises(StageError, match="3 samples are too short for mert to hear"):
        mert.features(np.zeros((2, 3), np.float32), RATE)


def test_features_that_are_not_finite_are_refused(folders):
    mert = load_ssl_model("mert", str(folders["mert"]), folders["mert"])
    mert._network.encoder.layer_norm.weight.data.fill_(float("inf"))
    with pytest.raises(StageError, match="its mert features are not finite"):
        mert.features(sound(1.0), RATE)


def test_mert_loads_without_its_code_with_every_weight_from_its_file(folders):
    from safetensors.torch import load_file

    stored = load_file(folders["mert"] / "model.safetensors")
    network = load_ssl_model("mert", str(folders["mert"]), folders["mert"])._network
    held = network.state_dict()
    assert type(network).__name__ == "HubertModel"
    assert len(held) == len(stored)
    conv = "encoder.pos_conv_embed.conv"
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        assert torch.equal(held[f"{conv}.parametrizations.weight.{new}"], stored[f"{conv}.{old}"])
    same = [name for name in stored if name in held]
    assert len(same) == len(stored) - 2
    assert all(torch.equal(held[name], stored[name]) for name in same)
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature_extractor_cqt": True}, "has feature_extractor_cqt on: it hears a constant-Q"),
        ({"deepnorm": True}, "has deepnorm on: it scales its residual connections"),
        ({"model_type": "wavlm", "conv_pos_batch_norm": False}, "holds a wavlm model; hubert or"),
        ({"conv_stride": [5, 8, 4]}, "makes a frame of 160 samples, 320 are needed"),
        ({"sample_rate": 16_000}, "listens at 16000 Hz, 24000 Hz is needed"),
    ],
)
def test_a_network_that_hubert_is_not_is_refused_before_it_is_loaded(tmp_path, changes, said):
    folder = save_tiny_mert(tmp_path / "mert", **changes)
    with pytest.raises(StageError) as caught:
        find_ssl_model("mert", "mert", tmp_path)
    assert str(caught.value).startswith(f"training.ssl.mert: {folder} ")
    assert said in str(caught.value)


def test_the_one_model_in_the_other_s_place_is_refused(folders):
    with pytest.raises(StageError, match=r"ssl\.mert: .* listens at 16000 Hz, 24000 Hz is needed"):
        find_ssl_model("mert", str(folders["mhubert"]), folders["mert"])
    with pytest.raises(StageError, match=r"ssl\.mhubert: .* at 24000 Hz, 16000 Hz is needed"):
        find_ssl_model("mhubert", str(folders["mert"]), folders["mert"])


def test_weights_without_a_place_are_refused_unless_they_come_after_the_states(tmp_path):
    folder = save_tiny_mert(tmp_path / "mert")
    expected = load_ssl_model("mert", "mert", tmp_path).features(sound(1.0), RATE)
    add_weights(folder, final_proj__weight=(3, 24), lm_head__bias=(3,))
    found = load_ssl_model("mert", "mert", tmp_path).features(sound(1.0), RATE)
    assert torch.equal(found, expected)
    add_weights(folder, feature_extractor_cqt__kernel=(2,), another__weight=(2,))
    with pytest.raises(StageError) as caught:
        load_ssl_model("mert", "mert", tmp_path)
    assert str(caught.value) == (
        f"training.ssl.mert: {folder} holds the weights another.weight and 1 more, which a HuBERT "
        "network has no place for - name a model of that network: what it hears without them is "
        "something else"
    )


def test_missing_cut_and_misshapen_weights_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_tiny_mhubert(tmp_path / "m")
    weights = folder / "model.safetensors"
    whole, tensors = weights.read_bytes(), load_file(weights)
    save_file({key: one for key, one in tensors.items() if "projection" not in key}, weights)
    with pytest.raises(StageError, match=r"lacks the weights feature_projection\..* and 3 more"):
        load_ssl_model("mhubert", "m", tmp_path)
    name = "feature_projection.projection.weight"
    save_file({**tensors, name: tensors[name][:3].clone()}, weights)
    with pytest.raises(StageError, match=r"training\.ssl\.mhubert: .* cannot be loaded"):
        load_ssl_model("mhubert", "m", tmp_path)
    weights.write_bytes(whole[:-100])
    with pytest.raises(StageError, match="it is cut short, or longer than its header says"):
        load_ssl_model("mhubert", "m", tmp_path)


def test_pickles_are_not_loaded(tmp_path):
    folder = save_tiny_mert(tmp_path / "mert")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(StageError) as caught:
        find_ssl_model("mert", "mert", tmp_path)
    assert "has pytorch_model.bin but no model.safetensors" in str(caught.value)
    assert "convert it to .safetensors" in str(caught.value)


def test_a_model_that_is_not_there_is_named_with_the_command_that_fetches_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(StageError) as caught:
        find_ssl_model("mert", "hf:m-a-p/MERT-v1-330M", tmp_path)
    assert str(caught.value).startswith("training.ssl.mert: m-a-p/MERT-v1-330M is not in the Hub")
    assert str(caught.value).endswith(" - fetch it with: hf download m-a-p/MERT-v1-330M")
    with pytest.raises(StageError, match=r"ssl\.mhubert: the folder .*models/m is not there"):
        find_ssl_model("mhubert", "models/m", tmp_path)


def test_a_model_is_found_in_the_hub_s_cache_by_its_commit(folders, tmp_path, monkeypatch):
    commit = "0e06c986db0527c0fd1b47181c40f006805e3de0"
    place = tmp_path / "hub" / "models--m-a-p--MERT-v1-330M"
    shutil.copytree(folders["mert"], place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for location in ("hf:m-a-p/MERT-v1-330M", f"hf:m-a-p/MERT-v1-330M@{commit}"):
        assert find_ssl_model("mert", location, tmp_path).commit == commit
    heard = load_ssl_model("mert", "hf:m-a-p/MERT-v1-330M", tmp_path).features(sound(0.5), RATE)
    assert heard.shape == (38, 24)


def test_finding_a_model_needs_no_torch(folders):
    code = (
        "import sys; from pathlib import Path\n"
        "from lofi_engine.training.ssl_features import find_ssl_model\n"
        "find_ssl_model('mert', sys.argv[1], Path())\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folders["mert"])], check=False)
    assert done.returncode == 0


def test_the_models_listen_as_the_published_trainer_lets_them():
    assert {kind.name: (kind.sample_rate, kind.chunk_sec) for kind in KINDS.values()} == {
        "mert": (24_000, 5),
        "mhubert": (16_000, 30),
    }
