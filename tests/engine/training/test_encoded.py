from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.training.encoded import (
    INDEX_NAME,
    EncodedTrack,
    Features,
    other_texts_of,
    read_index,
    read_shard,
    read_warnings,
    stack_conditioning,
    window_frames,
    write_index,
    write_shard,
)
from tests.support.tiny_training import OTHER_TEXTS, features, write_encoded


def test_a_shard_comes_back_with_the_same_bits(tmp_path):
    made = features(1, frames=7, tokens=5, lyrics=9)
    write_shard(tmp_path / "deep" / "a.safetensors", made)
    found = read_shard(tmp_path / "deep" / "a.safetensors")
    for name in ("latents", "text_states", "lyric_ids"):
        assert torch.equal(getattr(found, name), getattr(made, name))
    assert found.lyric_ids.dtype == torch.int64


def test_equal_features_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_shard(tmp_path / name, features(1))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_was_lost_of_a_text_is_kept_beside_the_features(tmp_path):
    lost = ("prompt cut: it has 300 tokens", "歌詞")
    write_shard(tmp_path / "a", features(1), lost)
    write_shard(tmp_path / "b", features(1))
    assert read_warnings(tmp_path / "a") == lost
    assert read_warnings(tmp_path / "b") == ()
    assert torch.equal(read_shard(tmp_path / "a").latents, features(1).latents)
    (tmp_path / "b").write_bytes(b"torn")
    with pytest.raises(StageError, match="the shard is damaged"):
        read_warnings(tmp_path / "b")


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    write_shard(path, features(1))
    content = path.read_bytes()
    if damage == "other":
        from lofi_engine.tensors import save_tensors

        save_tensors(path, {"latents": torch.zeros(1)})
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(StageError, match=r"a\.safetensors: the shard is damaged .* - delete it"):
        read_shard(path)


def test_the_index_comes_back_whole_or_by_split(tmp_path):
    tracks = write_encoded(tmp_path, ("train", "validation", "train"))
    assert read_index(tmp_path) == tracks
    assert read_index(tmp_path, "train") == (tracks[0], tracks[2])
    assert read_index(tmp_path, "validation") == (tracks[1],)
    assert read_index(tmp_path, "test") == ()
    row = json.loads((tmp_path / INDEX_NAME).read_text())["tracks"][0]
    assert row == {
        **dataclasses.asdict(tracks[0]),
        "style_ids": ["CORE-01"],
        "other_texts": [*OTHER_TEXTS],
    }


def test_the_index_names_the_other_texts_of_a_track(tmp_path):
    track = EncodedTrack("a", "a.safetensors", 3, 2, "train", (), ("caption/analysis", "shuffle/0"))
    write_index(tmp_path, [track])
    assert read_index(tmp_path) == (track,)


def test_of_a_shard_s_texts_one_is_read(tmp_path):
    path, made = tmp_path / "a.safetensors", features(1, tokens=5)
    others = {"shuffle/0": torch.ones(4, 64), "caption/analysis": torch.full((9, 64), 2.0)}
    write_shard(path, made, other_states=others)
    assert other_texts_of(path) == ("caption/analysis", "shuffle/0")
    assert torch.equal(read_shard(path).text_states, made.text_states)
    for name, states in others.items():
        found = read_shard(path, name)
        assert torch.equal(found.text_states, states)
        assert torch.equal(found.latents, made.latents)
        assert torch.equal(found.lyric_ids, made.lyric_ids)
    with pytest.raises(StageError, match=r"a\.safetensors: the shard is damaged .*shuffle/7"):
        read_shard(path, "shuffle/7")
    write_shard(path, made)
    assert other_texts_of(path) == ()


def test_conditions_of_different_lengths_are_padded_and_masked():
    short, long = features(1, tokens=2, lyrics=1), features(2, tokens=4, lyrics=3)
    stacked = stack_conditioning([short, long], speaker_width=6)
    assert stacked.text_states.shape == (2, 4, 64)
    assert stacked.text_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert stacked.lyric_mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert torch.equal(stacked.text_states[0, :2], short.text_states)
    assert not stacked.text_states[0, 2:].any()
    assert stacked.lyric_ids[0].tolist() == [*short.lyric_ids.tolist(), 0, 0]
    assert torch.equal(stacked.lyric_ids[1], long.lyric_ids)
    assert stacked.speaker.shape == (2, 6)
    assert not stacked.speaker.any()
    assert stacked.text_mask.dtype == stacked.lyric_mask.dtype == torch.int64


def test_one_track_needs_no_padding():
    one = Features(torch.zeros(8, 16, 3), torch.ones(3, 64), torch.tensor([0]))
    stacked = stack_conditioning([one], speaker_width=2)
    assert stacked.text_mask.tolist() == [[1, 1, 1]]
    assert stacked.lyric_mask.tolist() == [[1]]


def test_a_window_is_whole_latent_frames_and_at_least_one():
    base = SimpleNamespace(sample_rate=44_100, frame_samples=4096)
    assert window_frames(base, 10.0) == 107
    assert window_frames(base, 0.01) == 1
