"""A base made from nothing, and what happens when the making is stopped or changed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.models.family import Conditioning
from lofi_engine.models.registry import FAMILIES
from lofi_engine.pretraining.run import train_base
from tests.support.shared_work import once
from tests.support.small_base import TEXT, small_settings

pytestmark = pytest.mark.xdist_group("small-base")


@pytest.fixture(scope="module")
def made():
    def make(folder):
        folder.mkdir(parents=True, exist_ok=True)
        train_base(small_settings(folder), folder / "run", processes=1)
        return folder

    return once("small-base", make)


def test_what_comes_out_is_a_base_that_loads_encodes_and_plays(made):
    base = FAMILIES["ace-step-v1"].load(
        "run/base", revision="main", lyric_vocabulary=None, home=made
    )
    latents = base.encode_audio(np.zeros((2, 44_100), np.float32), 44_100)
    states, mask = base.encode_text(["rainy night, 74 bpm"])
    ids = torch.tensor([base.lyric_ids("la la mi")])
    told = Conditioning(states, mask, torch.zeros(1, 8), ids, torch.ones_like(ids))
    with torch.inference_mode():
        velocity = base.velocity(latents[None], torch.tensor([500.0]), told)
    assert velocity.shape == latents[None].shape
    assert torch.isfinite(velocity).all()
    assert base.decode_audio(latents[None]).shape == (1, 2, latents.shape[-1] * 4096)
    card = (made / "run/base/README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "it has heard no recorded music" in card


def test_its_weights_are_half_precision_and_what_never_runs_is_zero(made):
    from safetensors.torch import load_file

    weights = load_file(made / "run/base/ace_step_transformer/diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    unused = [value for name, value in weights.items() if ".add_k_proj." in name]
    assert unused
    assert all(not value.any() for value in unused)


def _rows(made, network):
    text = (made / f"run/{network}/losses.jsonl").read_text()
    return [json.loads(row) for row in text.splitlines()]


def test_losses_are_written_for_every_network(made):
    for name, losses in {
        "dcae": {"step", "log_mel", "pull"},
        "vocoder": {"step", "spectra", "log_mel", "judge", "judged", "features"},
        "sound": {"step", "spectra", "log_mel", "decoded", "lock", "judge", "judged", "features"},
    }.items():
        rows = _rows(made, name)
        assert rows[-1].keys() == losses
        assert rows[-1]["step"] == 4
    rows = _rows(made, "transformer")
    assert rows[-1].keys() >= {"step", "velocity"}


def test_decoder_and_vocoder_go_on_together_and_the_encoder_stays(made):
    def mean(network):
        return torch.load(made / f"run/{network}/checkpoint.pt", weights_only=True)["mean"]

    dcae, vocoder, sound = (mean(name) for name in ("dcae", "vocoder", "sound"))
    assert {name.partition(".")[0] for name in sound} == {"decoder", "vocoder"}
    assert any(not torch.equal(sound[name], vocoder[name]) for name in vocoder)
    shipped = FAMILIES["ace-step-v1"].load(
        "run/base", revision="main", lyric_vocabulary=None, home=made
    )
    for name, value in shipped.dcae.state_dict().items():
        before = dcae[f"dcae.{name}"] if name.startswith("encoder.") else sound[name]
        assert torch.equal(value.half(), before.half()), name


def test_a_finished_base_is_not_made_again(made, tmp_path):
    run = shutil.copytree(made / "run", tmp_path / "run")
    told = []
    train_base(small_settings(tmp_path), run, on_training=told.append, processes=1)
    assert told == []


def test_another_recipe_does_not_go_on_with_what_is_there(made, tmp_path):
    run = shutil.copytree(made / "run", tmp_path / "run")
    other = small_settings(tmp_path, TEXT.replace("dcae: {steps: 4", "dcae: {steps: 5"))
    with pytest.raises(StageError, match=r"run/dcae: was begun with other settings - remove that"):
        train_base(other, run, processes=1)


def test_a_step_without_the_one_before_it_and_an_unknown_step_are_refused(tmp_path):
    settings = small_settings(tmp_path)
    with pytest.raises(StageError, match="'latents' needs 'tracks', which is not finished"):
        train_base(settings, tmp_path / "run", ["latents"])
    with pytest.raises(StageError, match="there is no step 'vocodr' - steps: tracks, dcae"):
        train_base(settings, tmp_path / "run", ["vocodr"])
    assert not (tmp_path / "run").exists()
