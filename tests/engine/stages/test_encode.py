from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch

from lofi_engine.audio.decode import decode
from lofi_engine.errors import StageError
from lofi_engine.stages import encode
from lofi_engine.training.encoded import check_encoded_by, read_index
from lofi_engine.training.shards import read_header, read_shard
from lofi_runtime.pipeline import japanese
from lofi_runtime.pipeline.lyrics import LyricTokenizer
from tests.support.encode_inputs import TRACKS, KilledError, dying_at, write_inputs
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_training import one_thread, tiny_base


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


def test_shards_finished_before_a_kill_are_kept_and_used(done, inputs, tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path)

    with pytest.raises(KilledError):
        run_stage(
            encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p", sink=dying_at(2)
        )
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

    with pytest.raises(KilledError):
        run_stage(
            encode, recipe, tmp_path / "1", inputs=inputs, progress=tmp_path / "p", sink=dying_at(3)
        )
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
