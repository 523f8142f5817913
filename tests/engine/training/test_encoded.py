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
    ShardHeader,
    check_encoded_by,
    check_shards,
    in_precision,
    read_header,
    read_index,
    read_shard,
    read_tensor,
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
    assert read_header(tmp_path / "a").warnings == lost
    assert read_header(tmp_path / "b").warnings == ()
    assert torch.equal(read_shard(tmp_path / "a").latents, features(1).latents)


def test_a_header_tells_what_a_shard_holds_and_who_made_it(tmp_path):
    path, made = tmp_path / "a.safetensors", features(1, frames=7, tokens=5, ssl=True)
    others = {"shuffle/0": torch.ones(4, 64), "caption/analysis": torch.ones(9, 64)}
    write_shard(path, made, ("lost",), others, precision="bf16", base="builtin:tiny@1")
    assert read_header(path) == ShardHeader(
        frames=7,
        tokens=5,
        other_texts=("caption/analysis", "shuffle/0"),
        ssl_frames={"mert": 49, "mhubert": 35},
        base="builtin:tiny@1",
        warnings=("lost",),
    )


@pytest.mark.parametrize(
    ("precision", "dtype", "error"),
    [
        ("fp32", torch.float32, 0.0),
        ("fp16", torch.float16, 2**-11),
        ("bf16", torch.bfloat16, 2**-8),
    ],
)
def test_what_lies_in_half_precision_is_half_as_large_and_read_as_float32(
    tmp_path, precision, dtype, error
):
    from safetensors.torch import load_file

    path, made = tmp_path / "a", features(1, frames=64, ssl=True)
    write_shard(path, made, precision=precision)
    found = read_shard(path)
    assert {one.dtype for one in load_file(path).values()} == {dtype, torch.int64}
    assert torch.equal(found.lyric_ids, made.lyric_ids)
    pairs = [(found.latents, made.latents), (found.text_states, made.text_states)]
    pairs += [(found.ssl[name], made.ssl[name]) for name in ("mert", "mhubert")]
    for read, given in pairs:
        assert read.dtype == torch.float32
        torch.testing.assert_close(read, given, rtol=error, atol=error * 1e-2)
    elements = sum(given.numel() for _, given in pairs)
    assert path.stat().st_size == pytest.approx(elements * dtype.itemsize, abs=1000)


def test_a_value_too_large_for_fp16_is_refused_and_bf16_takes_it(tmp_path):
    made = dataclasses.replace(features(1), ssl={"mert": torch.full((2, 3), 1e6)})
    with pytest.raises(StageError) as caught:
        write_shard(tmp_path / "a", made, precision="fp16")
    assert str(caught.value) == (
        "its ssl/mert are too large for fp16 - set training.latents_precision to bf16"
    )
    assert not list(tmp_path.iterdir())
    write_shard(tmp_path / "a", made, precision="bf16")
    assert read_tensor(tmp_path / "a", "ssl/mert")[0, 0] == torch.tensor(1e6).bfloat16()
    assert in_precision({"x": torch.tensor(0.1)}, "fp16")["x"] == torch.tensor(0.1).half()


def test_the_features_of_a_window_are_those_of_its_time(tmp_path):
    """Counted features: 100 latent frames, 700 and 465 frames of features of the same sound."""
    counted = {
        "mert": torch.arange(700.0)[:, None].expand(700, 2),
        "mhubert": torch.arange(465.0)[:, None].expand(465, 2),
    }
    made = Features(torch.zeros(8, 16, 100), torch.zeros(1, 4), torch.tensor([0]), counted)
    cut = made.window_ssl(40, 10)
    assert cut["mert"][:, 0].tolist() == list(range(280, 350))
    assert cut["mhubert"][:, 0].tolist() == list(range(186, 232))  # 186.0 to 232.5, to even
    whole = made.window_ssl(0, 100)
    assert all(torch.equal(whole[name], counted[name]) for name in counted)
    # Windows side by side share no frame and leave none out.
    parts = [made.window_ssl(start, 5)["mhubert"] for start in range(0, 100, 5)]
    assert torch.equal(torch.cat(parts), counted["mhubert"])
    assert features(1).window_ssl(0, 4) == {}


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
    for read in (read_shard, read_header):
        with pytest.raises(StageError) as caught:
            read(path)
        assert str(caught.value).startswith(f"the shard is damaged: {path}: ")
        assert str(caught.value).endswith(" - run again with --from encode")
    if damage == "cut":
        assert "it is cut short" in str(caught.value)


def test_shards_that_do_not_fit_the_index_are_named(tmp_path):
    tracks = write_encoded(tmp_path, ("train", "train"))
    check_shards(tmp_path, tracks)
    second, path = tracks[1], tmp_path / tracks[1].shard
    wrong = {
        "holds 16 latent frames, index.json says 12": dataclasses.replace(second, frames=12),
        "holds 3 text tokens, index.json says 9": dataclasses.replace(second, tokens=9),
        "holds 2 of its texts, index.json says 3": dataclasses.replace(
            second, other_texts=(*OTHER_TEXTS, "shuffle/7")
        ),
    }
    for said, row in wrong.items():
        with pytest.raises(StageError) as caught:
            check_shards(tmp_path, [tracks[0], row])
        assert str(caught.value) == f"{path}: the shard {said} - run again with --from encode"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StageError, match=r"track-1\.safetensors: it is cut short"):
        check_shards(tmp_path, tracks)
    path.unlink()
    with pytest.raises(StageError, match=r"track-1\.safetensors: there is no such file"):
        check_shards(tmp_path, tracks)


def test_an_encoded_set_of_another_base_is_refused(tmp_path):
    write_index(tmp_path, [], base="hf:ACE-Step/ACE-Step-v1-3.5B@abc")
    check_encoded_by(tmp_path, "hf:ACE-Step/ACE-Step-v1-3.5B@abc")
    with pytest.raises(StageError) as caught:
        check_encoded_by(tmp_path, "builtin:tiny@1")
    assert str(caught.value) == (
        f"{tmp_path}: the tracks were encoded by hf:ACE-Step/ACE-Step-v1-3.5B@abc, the base is "
        "builtin:tiny@1 - run again with --from encode"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no such file"),
        ('{"format": 1, "tra', "the index is damaged"),
        ("[]", "not an index that this version writes"),
        ('{"format": 0, "base": "", "tracks": []}', "not an index that this version writes"),
        ('{"format": 1, "base": "", "tracks": [{"name": "a"}]}', "a row is no track"),
    ],
)
def test_an_index_that_cannot_be_read_is_named(tmp_path, text, said):
    if text is not None:
        (tmp_path / INDEX_NAME).write_text(text)
    with pytest.raises(StageError, match=f"{INDEX_NAME}: {said}.* - run again with --from encode"):
        read_index(tmp_path)


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
    assert read_header(path).other_texts == ("caption/analysis", "shuffle/0")
    assert torch.equal(read_shard(path).text_states, made.text_states)
    for name, states in others.items():
        found = read_shard(path, name)
        assert torch.equal(found.text_states, states)
        assert torch.equal(found.latents, made.latents)
        assert torch.equal(found.lyric_ids, made.lyric_ids)
    with pytest.raises(StageError, match=r"the shard is damaged: .*a\.safetensors: .*shuffle/7"):
        read_shard(path, "shuffle/7")
    write_shard(path, made)
    assert read_header(path).other_texts == ()


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
