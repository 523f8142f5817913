from __future__ import annotations

import dataclasses

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.training.shards import (
    ShardHeader,
    in_precision,
    read_header,
    read_shard,
    read_tensor,
    write_shard,
)
from tests.support.tiny_training import features


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
