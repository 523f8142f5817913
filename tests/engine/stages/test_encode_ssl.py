"""The encode stage with audio models that listen."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from lofi_engine.audio.decode import decode
from lofi_engine.errors import StageError
from lofi_engine.fingerprints import Fingerprints
from lofi_engine.plan import plan
from lofi_engine.stages import encode
from lofi_engine.stages.registry import STAGES
from lofi_engine.training.encoded import read_index
from lofi_engine.training.shards import read_shard
from lofi_engine.training.ssl_features import load_ssl_model
from tests.support.encode_inputs import KilledError, dying_at, write_inputs
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_ssl_models import save_tiny_mert, save_tiny_mhubert
from tests.support.tiny_training import one_thread


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    place = tmp_path_factory.mktemp("done")
    with one_thread():
        return run_stage(encode, make_recipe(place), place, inputs=inputs)


@pytest.fixture(scope="module")
def ssl_home(tmp_path_factory):
    """A folder for recipes, with both audio models in it."""
    home = tmp_path_factory.mktemp("home")
    save_tiny_mert(home / "models" / "mert")
    save_tiny_mhubert(home / "models" / "mhubert")
    return home


SSL = {"ssl": {"mert": "models/mert", "mhubert": "models/mhubert"}}


@pytest.fixture(scope="module")
def heard(inputs, ssl_home, tmp_path_factory):
    recipe = make_recipe(ssl_home, training=SSL)
    with one_thread():
        return run_stage(encode, recipe, tmp_path_factory.mktemp("heard"), inputs=inputs)


def test_training_tracks_have_what_the_audio_models_hear(heard, done, inputs, ssl_home):
    night, rain, snow = read_index(heard.work)
    audio = decode(inputs["curate"] / "tracks" / "night.flac")
    found = read_shard(heard.work / night.shard)
    assert found.ssl.keys() == {"mert", "mhubert"}
    for name, features in found.ssl.items():
        ssl_model = load_ssl_model(name, f"models/{name}", ssl_home)
        expected = ssl_model.features(audio.samples, audio.sample_rate)
        assert torch.equal(features, expected.half().float())
    # 3 seconds at 75 and 50 frames a second.
    assert {name: one.shape for name, one in found.ssl.items()} == {
        "mert": (225, 24),
        "mhubert": (150, 16),
    }
    # Training reads features, the held-out loss does not.
    assert read_shard(heard.work / snow.shard).ssl == {}
    assert heard.outcome.facts["ssl_frames"] == {"mert": 225 + 150, "mhubert": 150 + 100}
    # All else is what it is without them.
    without = read_shard(done.work / rain.shard)
    assert torch.equal(read_shard(heard.work / rain.shard).latents, without.latents)
    assert read_index(done.work) == (night, rain, snow)


def test_progress_counts_tracks_and_models(heard):
    said = [(event.done, event.total, event.unit, event.message) for event in heard.events]
    messages = [
        "night (mert)", "rain (mert)", "night (mhubert)", "rain (mhubert)", "night", "rain", "snow",
    ]  # fmt: skip
    assert said == [
        (number + 1, 7, "tracks and models", text) for number, text in enumerate(messages)
    ]


def test_one_network_is_in_memory_at_a_time(inputs, ssl_home, tmp_path, monkeypatch):
    loaded, kinds = [], []

    def watched(load):
        def loading(*arguments):
            gc.collect()
            assert not any(one() for one in loaded), "another network is still in memory"
            network = load(*arguments)
            loaded.append(weakref.ref(network))
            kinds.append(type(network).__name__)
            return network

        return loading

    for name in ("load_ssl_model", "load_base"):
        monkeypatch.setattr(encode, name, watched(getattr(encode, name)))
    run_stage(encode, make_recipe(ssl_home, training=SSL), tmp_path, inputs=inputs)
    assert kinds == ["SslModel", "SslModel", "AceStepBase"]


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_run_killed_in_any_pass_goes_on_where_it_was(
    heard, inputs, ssl_home, tmp_path, monkeypatch, killed_after
):
    recipe = make_recipe(ssl_home, training=SSL)

    with pytest.raises(KilledError):
        run_stage(
            encode,
            recipe,
            tmp_path / "1",
            inputs=inputs,
            progress=tmp_path / "p",
            sink=dying_at(killed_after),
        )
    made = []
    for name in ("in_precision", "_features"):
        monkeypatch.setattr(encode, name, _counting(getattr(encode, name), made))
    again = run_stage(encode, recipe, tmp_path / "2", inputs=inputs, progress=tmp_path / "p")
    assert len(made) == 7 - killed_after
    assert again.files() == heard.files()
    assert again.outcome == heard.outcome
    # What waited for the shards is gone with the last of them.
    assert not list((tmp_path / "p" / "ssl").rglob("*.safetensors"))


def _counting(function, calls):
    def counted(*arguments):
        calls.append(function)
        return function(*arguments)

    return counted


def test_features_that_an_earlier_run_left_damaged_are_made_again(
    heard, inputs, ssl_home, tmp_path
):
    left = tmp_path / "p" / "ssl" / "mert" / "rain.safetensors"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"torn")
    recipe = make_recipe(ssl_home, training=SSL)
    again = run_stage(encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p")
    assert [one.split(" (")[0] for one in again.warnings] == [
        "rain.safetensors: left damaged, made again"
    ]
    assert again.files() == heard.files()


def test_an_audio_model_that_is_not_there_is_an_error_that_names_its_key(inputs, tmp_path):
    recipe = make_recipe(tmp_path, training=SSL)
    with pytest.raises(StageError, match=r"training\.ssl\.mert: the folder .* is not there"):
        run_stage(encode, recipe, tmp_path / "run", inputs=inputs)
    assert encode.sources(recipe) == (
        tmp_path / "models" / "mert",
        tmp_path / "models" / "mhubert",
    )


def test_precision_and_models_make_another_set_and_the_coefficient_does_not(ssl_home, tmp_path):
    """Progress lies under the stage's key, so shards of other settings cannot mix in."""

    def key(**training):
        recipe = make_recipe(ssl_home, training=training)
        fingerprints = Fingerprints(tmp_path / "fingerprints.json")
        return next(one.key for one in plan(recipe, STAGES, fingerprints) if one.name == "encode")

    other = save_tiny_mert(ssl_home / "models" / "other", width=20)
    ssl = SSL["ssl"]
    keys = [
        key(),
        key(latents_precision="bf16"),
        key(ssl=ssl),
        key(ssl=ssl, latents_precision="bf16"),
        key(ssl={**ssl, "mert": "models/other"}),
        key(ssl={**ssl, "mert": "hf:m-a-p/MERT-v1-330M"}),
    ]
    assert len(set(keys)) == len(keys)
    assert key(ssl={**ssl, "coefficient": 0.5}) == keys[2]
    assert key(steps=7, batch_size=2) == keys[0]
    save_tiny_mert(other, width=28)
    assert key(ssl={**ssl, "mert": "models/other"}) not in keys


def test_a_model_on_the_hub_is_keyed_by_the_commit_its_branch_names_here(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    refs = tmp_path / "models--m-a-p--MERT-v1-330M" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("abc123")
    ssl = {"mert": "hf:m-a-p/MERT-v1-330M", "mhubert": "models/mhubert"}
    settings = encode.settings(make_recipe(tmp_path, training={"ssl": ssl}))
    assert settings.ssl == {"mert": "hf:m-a-p/MERT-v1-330M@abc123", "mhubert": "models/mhubert"}
