from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest
import soundfile
import torch

from lofi_engine.audio.decode import decode
from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.errors import StageError
from lofi_engine.fingerprints import Fingerprints
from lofi_engine.plan import plan
from lofi_engine.stages import encode
from lofi_engine.stages.registry import STAGES
from lofi_engine.training.encoded import check_encoded_by, read_header, read_index, read_shard
from lofi_engine.training.ssl_features import load_ssl_model
from lofi_runtime.pipeline import japanese
from lofi_runtime.pipeline.lyrics import LyricTokenizer
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_ssl_models import save_tiny_mert, save_tiny_mhubert
from tests.support.tiny_training import one_thread, tiny_base

TRACKS = {
    "rain": ("train", "lofi, rain, piano", "", ["CORE-01"]),
    "night": ("train", "lofi, night", "[Verse]\nstay with me", ["VOC-01", "CORE-01"]),
    "unused": ("", "lofi", "", []),
    "snow": ("validation", "lofi, snow, vinyl crackle, slow tempo, 64 bpm", "[Instrumental]", []),
}


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def write_inputs(folder, tracks=TRACKS):
    """What curate, describe and split leave of some short tracks, one of them in no split."""
    audio = folder / "curate" / "tracks"
    audio.mkdir(parents=True)
    for number, name in enumerate(tracks):
        noise = np.random.default_rng(number).standard_normal((48_000 * (2 + number), 2))
        soundfile.write(audio / f"{name}.flac", 0.1 * noise, 48_000)
    split = {
        part: sorted(name for name in tracks if tracks[name][0] == part)
        for part in ("train", "validation")
    }
    for name in ("split", "describe"):
        (folder / name).mkdir()
    (folder / "split" / "split.json").write_text(json.dumps(split))
    described = [
        Description(name, prompt, lyrics, 80.0, "A minor", tuple(styles), 2.0, "style")
        for name, (_part, prompt, lyrics, styles) in tracks.items()
    ]
    write_descriptions(folder / "describe", described)
    return {name: folder / name for name in ("curate", "describe", "split")}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    place = tmp_path_factory.mktemp("done")
    with one_thread():
        return run_stage(encode, make_recipe(place), place, inputs=inputs)


def test_every_track_of_the_split_has_a_shard_and_a_row(done):
    index = read_index(done.work)
    assert [(track.track, track.split) for track in index] == [
        ("night", "train"),
        ("rain", "train"),
        ("snow", "validation"),
    ]
    assert set(done.files()) == {"index.json", *(track.shard for track in index)}
    assert index[0].style_ids == ("VOC-01", "CORE-01")
    frames = sum(track.frames for track in index)
    # "lofi, night" has one other order, three tags have five, the held-out track none.
    assert [len(track.other_texts) for track in index] == [1, 4, 0]
    assert done.outcome.facts == {
        "tracks": 3,
        "frames": frames,
        "texts": 8,
        "ssl_frames": {},
        "warnings": {},
    }
    for track in index:
        features = read_shard(done.work / track.shard)
        assert features.latents.shape == (8, 16, track.frames)
        assert features.text_states.shape == (track.tokens, 64)


def test_frames_count_the_seconds_of_the_track(done):
    frames = {track.track: track.frames for track in read_index(done.work)}
    # 4096 samples of 44.1 kHz a frame, the last one begun counts.
    seconds = {"rain": 2, "night": 3, "snow": 5}
    assert frames == {name: -(-44_100 * length // 4096) for name, length in seconds.items()}


def test_a_shard_is_what_the_base_says_of_audio_prompt_and_lyrics(done, inputs):
    base = tiny_base()
    track = next(one for one in read_index(done.work) if one.track == "night")
    found = read_shard(done.work / track.shard)
    audio = decode(inputs["curate"] / "tracks" / "night.flac")
    with torch.inference_mode():
        latents = base.encode_audio(audio.samples, audio.sample_rate)
        states, mask = base.encode_text([TRACKS["night"][1]])
    # fp16 on disk unless the recipe says otherwise.
    assert torch.equal(found.latents, latents.half().float())
    assert torch.equal(found.text_states, states[0][mask[0].bool()].half().float())
    assert found.lyric_ids.tolist() == base.lyric_ids(TRACKS["night"][2])
    assert len(found.lyric_ids) > 5


def test_training_tracks_have_their_tags_in_other_orders(done):
    base = tiny_base()
    night, rain, snow = read_index(done.work)
    assert (night.split, rain.split, snow.split) == ("train", "train", "validation")
    with torch.inference_mode():
        states, mask = base.encode_text(["night, lofi"])
    found = read_shard(done.work / night.shard, night.other_texts[0]).text_states
    torch.testing.assert_close(found, states[0][mask[0].bool()], rtol=1e-3, atol=1e-3)
    # What is held out is judged by its prompt alone.
    assert (snow.other_texts, read_header(done.work / snow.shard).other_texts) == ((), ())
    seen = [read_shard(done.work / rain.shard, name).text_states for name in rain.other_texts]
    seen.append(read_shard(done.work / rain.shard).text_states)
    assert len({one.numpy().tobytes() for one in seen}) == len(seen)


def test_instrumentals_have_the_single_id_of_no_lyrics(done):
    for track in read_index(done.work):
        if track.track != "night":
            assert read_shard(done.work / track.shard).lyric_ids.tolist() == [0]


def test_progress_counts_tracks_by_name(done):
    said = [(event.done, event.total, event.unit, event.message) for event in done.events]
    assert said == [(1, 3, "tracks", "night"), (2, 3, "tracks", "rain"), (3, 3, "tracks", "snow")]


class KilledError(Exception):
    """What stops the stage from outside."""


def test_shards_finished_before_a_kill_are_kept_and_used(done, inputs, tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path)

    def die(event):
        if event.done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        run_stage(encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p", sink=die)
    kept = sorted(path.name for path in (tmp_path / "p" / "shards").iterdir())
    assert kept == ["night.safetensors", "rain.safetensors"]
    encoded = []
    really = encode._features

    def counted(base, track):
        encoded.append(track.audio.name)
        return really(base, track)

    monkeypatch.setattr(encode, "_features", counted)
    again = run_stage(encode, recipe, tmp_path / "2", inputs=inputs, progress=tmp_path / "p")
    assert encoded == ["snow.flac"]
    assert again.files() == done.files()
    assert [event.done for event in again.events] == [1, 2, 3]


def test_with_every_shard_kept_the_base_is_not_loaded(done, inputs, tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path)

    def die(event):
        if event.done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run_stage(encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p", sink=die)
    monkeypatch.setattr(encode, "load_base", None)
    again = run_stage(encode, recipe, tmp_path / "2", inputs=inputs, progress=tmp_path / "p")
    assert again.files() == done.files()


def test_a_shard_that_an_earlier_run_left_damaged_is_said_and_made_again(done, inputs, tmp_path):
    shards = tmp_path / "p" / "shards"
    shards.mkdir(parents=True)
    whole = (done.work / "shards" / "night.safetensors").read_bytes()
    (shards / "night.safetensors").write_bytes(whole[:-1])
    again = run_stage(
        encode, make_recipe(tmp_path), tmp_path / "1", inputs=inputs, progress=tmp_path / "p"
    )
    assert len(again.warnings) == 1
    assert again.warnings[0].startswith("night.safetensors: left damaged, made again (")
    assert "it is cut short" in again.warnings[0]
    assert again.files() == done.files()
    assert again.outcome == done.outcome


def test_the_index_says_which_base_encoded_it_also_when_none_was_loaded(done):
    check_encoded_by(done.work, tiny_base().identity)
    with pytest.raises(StageError, match="the tracks were encoded by builtin:tiny"):
        check_encoded_by(done.work, "hf:other/base@1")


def test_of_the_base_the_transformer_s_weights_are_let_go(inputs, tmp_path, monkeypatch):
    base = tiny_base()
    monkeypatch.setattr(encode, "load_base", lambda _reference, _home: base)
    run_stage(encode, make_recipe(tmp_path), tmp_path / "run", inputs=inputs)
    assert {one.device.type for one in base.transformer.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)],
)
def test_everything_but_ids_lies_in_the_recipe_s_precision(inputs, tmp_path, precision, dtype):
    from safetensors.torch import load_file

    recipe = make_recipe(tmp_path, training={"latents_precision": precision})
    one = {**json.loads((inputs["split"] / "split.json").read_text()), "train": ["night"]}
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "split.json").write_text(json.dumps({**one, "validation": []}))
    run = run_stage(
        encode, recipe, tmp_path / "run", inputs={**inputs, "split": tmp_path / "split"}
    )
    tensors = load_file(run.work / "shards" / "night.safetensors")
    assert tensors.pop("lyric_ids").dtype == torch.int64
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}


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

    def die(event):
        if event.done == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        run_stage(encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p", sink=die)
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


def test_a_track_without_audio_is_named(tmp_path):
    inputs = write_inputs(tmp_path / "inputs")
    (inputs["curate"] / "tracks" / "rain.flac").unlink()
    with pytest.raises(StageError) as caught:
        run_stage(encode, make_recipe(tmp_path), tmp_path / "run", inputs=inputs)
    assert str(caught.value) == "rain: no audio in tracks - run again with --from curate"


def test_latents_that_are_not_finite_are_refused_by_track(inputs, tmp_path, monkeypatch):
    base = tiny_base()
    monkeypatch.setattr(
        base, "encode_audio", lambda _samples, _rate: torch.full((8, 16, 4), float("inf"))
    )
    monkeypatch.setattr(encode, "load_base", lambda _reference, _home: base)
    with pytest.raises(StageError) as caught:
        run_stage(encode, make_recipe(tmp_path), tmp_path / "run", inputs=inputs)
    assert str(caught.value) == "night.flac: its latents are not finite - check the base"


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((0, 2), np.float32), "no audio in it"),
        (np.full((4096, 2), np.nan, np.float32), "holds NaN or infinite samples"),
        (np.zeros((4096, 1), np.float32), "shape (1, 4096); (2, samples) is needed"),
    ],
)
def test_audio_that_cannot_be_encoded_is_named(tmp_path, samples, said):
    inputs = write_inputs(tmp_path / "inputs")
    audio = inputs["curate"] / "tracks" / "night"
    audio.with_suffix(".flac").unlink()
    soundfile.write(audio.with_suffix(".wav"), samples, 48_000, subtype="FLOAT")
    with pytest.raises(StageError) as caught:
        run_stage(encode, make_recipe(tmp_path), tmp_path / "run", inputs=inputs)
    assert str(caught.value).startswith("night.wav: ")
    assert said in str(caught.value)


LONG = {
    "night": ("train", "rain " * 300, "[Verse]\n" + "zz " * 3000, []),
    "rain": ("train", "lofi", "[Verse]\nÜber den Wolken\n夜の雨", []),
    "snow": ("validation", "lofi", "", []),
}


def test_text_that_is_cut_or_cannot_be_sung_is_said_by_track_and_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(japanese, "reads_kanji", lambda: False)
    inputs = write_inputs(tmp_path / "inputs", LONG)
    recipe, base = make_recipe(tmp_path), tiny_base()
    kept = run_stage(encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p")
    tokens = base.text.count(LONG["night"][1])
    lyric_tokens = len(LyricTokenizer(base.lyric_vocabulary).encode(LONG["night"][2]))
    assert tokens > 256
    assert lyric_tokens > 4096
    expected = {
        "night": [
            f"prompt cut: it has {tokens} tokens, the first 255 and the end are kept",
            f"lyrics cut: it has {lyric_tokens} tokens, the first 4096 are kept",
        ],
        "rain": [
            "lyrics: kanji will not be sung; to have them read, install lofi-recipe[japanese]",
            "lyrics: only English and Japanese are supported; read as if they were English: "
            "'Über den Wolken'",
        ],
    }
    assert kept.outcome.facts["warnings"] == expected
    said = [event.message for event in kept.events if event.kind == "warning"]
    assert said == [f"{name}: {line}" for name, lines in expected.items() for line in lines]
    shard = read_shard(kept.work / "shards" / "night.safetensors")
    assert len(shard.text_states) == 256
    assert len(shard.lyric_ids) == 4096
    # A run that finds its shards done says and records the same, without the base.
    monkeypatch.setattr(encode, "load_base", None)
    again = run_stage(encode, recipe, tmp_path / "2", inputs=inputs, progress=tmp_path / "p")
    assert again.outcome == kept.outcome
    assert again.events == kept.events


def test_a_base_that_is_not_there_is_an_error_before_any_shard(inputs, tmp_path):
    recipe = make_recipe(tmp_path, base={"model": "models/absent"})
    with pytest.raises(StageError, match="models/absent"):
        run_stage(encode, recipe, tmp_path / "run", inputs=inputs)
    assert encode.sources(recipe) == (tmp_path / "models" / "absent",)
