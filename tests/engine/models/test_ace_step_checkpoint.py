"""Bases on disk: what is saved comes back, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.text import build_umt5
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.registry import FAMILIES
from tests.support.golden import notes, shapes

FAMILY = FAMILIES["ace-step-v1"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    checkpoint.save(build_tiny(), folder)
    return folder


@pytest.fixture
def own(saved, tmp_path) -> Path:
    """Give a copy to damage; the weights are links until replaced."""
    for file in saved.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(saved)
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(file)
    return tmp_path


def load(model: str, home: Path, **options):
    return FAMILY.load(
        model, **{"revision": "main", "lyric_vocabulary": None, "home": home} | options
    )


def rewrite(path: Path, content: str | bytes) -> None:
    path.unlink()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_saved_base_comes_back_bit_for_bit(saved):
    built, loaded = build_tiny(), load(saved.name, saved.parent)
    for part in ("transformer", "dcae", "vocoder"):
        expected = getattr(built, part).state_dict()
        found = getattr(loaded, part).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(value, found[key]) for key, value in expected.items())
    assert loaded.bundle_files() == built.bundle_files()
    prompts = ["lofi, rainy night"]
    assert torch.equal(built.encode_text(prompts)[0], loaded.encode_text(prompts)[0])
    assert FAMILY.config_of(loaded) == FAMILY.config_of(built)
    assert not any(module.training for module in loaded.transformer.modules())


def test_a_folder_is_identified_by_its_content(saved, own):
    same, first = load(str(own), own), load(str(saved), saved)
    assert first.identity == same.identity
    assert first.identity.startswith("sha256:")
    rewrite(own / checkpoint.LYRIC_VOCABULARY, '{"model": {"vocab": {}}, "added_tokens": []}')
    assert load(str(own), own).identity != first.identity


def test_half_precision_is_read_as_float32(own):
    path = own / checkpoint.TRANSFORMER / checkpoint.WEIGHTS
    halved = {key: value.bfloat16() for key, value in load_file(path).items()}
    path.unlink()
    save_file(halved, path)
    transformer = load(str(own), own).transformer
    assert {p.dtype for p in transformer.parameters()} == {torch.float32}


def test_umt5_may_store_either_name_of_its_table_and_a_decoder(own, saved):
    path = own / checkpoint.TEXT / checkpoint.TEXT_WEIGHTS
    tensors = load_file(path)
    tensors["encoder.embed_tokens.weight"] = tensors.pop("shared.weight")
    tensors["decoder.final_layer_norm.weight"] = torch.ones(64)
    path.unlink()
    save_file(tensors, path)
    first, second = load(str(own), own), load(str(saved), saved)
    assert torch.equal(first.encode_text(["lofi"])[0], second.encode_text(["lofi"])[0])


def test_published_umt5_has_the_reference_keys_and_shapes():
    published = notes("ace_step_v1_state_dict")["umt5-base"]
    with torch.device("meta"):
        assert shapes(build_umt5(published["config"])) == published["keys"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StageError, match=rf"no folder {tmp_path}/nowhere.*layout of ACE-Step"):
        load("nowhere", tmp_path)


def test_missing_files_are_named(own):
    (own / "music_vocoder" / "config.json").unlink()
    (own / "umt5-base" / "tokenizer.json").unlink()
    text = r"lacks music_vocoder/config\.json, umt5-base/tokenizer\.json"
    with pytest.raises(StageError, match=text):
        load(str(own), own)


def test_weights_of_another_shape_are_named(own):
    path = own / checkpoint.TRANSFORMER / checkpoint.WEIGHTS
    tensors = load_file(path)
    del tensors["speaker_embedder.bias"]
    tensors["extra"] = torch.zeros(1)
    tensors["genre_embedder.bias"] = torch.zeros(3)
    path.unlink()
    save_file(tensors, path)
    with pytest.raises(StageError) as caught:
        load(str(own), own)
    assert (
        "lacks speaker_embedder.bias; has extra; has genre_embedder.bias of shape (3,), not (64,)"
        in str(caught.value)
    )


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (f"{checkpoint.VOCODER}/{checkpoint.WEIGHTS}", b"\x00" * 20, "cannot be read"),
        (f"{checkpoint.DCAE}/{checkpoint.CONFIG}", "{", "not JSON"),
        (f"{checkpoint.TRANSFORMER}/{checkpoint.CONFIG}", "[]", "a JSON object is needed"),
        (
            f"{checkpoint.TRANSFORMER}/{checkpoint.CONFIG}",
            "{}",
            r"config\.json: lacks num_layers, .*speaker_embedding_dim",
        ),
        (f"{checkpoint.TEXT}/{checkpoint.TOKENIZER}", "{}", r"tokenizer\.json"),
        (checkpoint.LYRIC_VOCABULARY, "{}", "not a tokenizers JSON"),
    ],
)
def test_damaged_files_are_named(own, file, content, text):
    rewrite(own / file, content)
    with pytest.raises(StageError, match=text):
        load(str(own), own)


def test_a_vocabulary_of_a_larger_base_is_refused(own):
    vocabulary = own / "vocabulary.json"
    vocabulary.write_text('{"model": {"vocab": {"a": 6692}}, "added_tokens": []}')
    with pytest.raises(StageError, match=r"ids reach 6692, but the base embeds 275"):
        load(str(own), own, lyric_vocabulary="vocabulary.json")


def test_a_named_vocabulary_replaces_the_folders_own(own):
    (own / "vocabulary.json").write_text('{"model": {"vocab": {"a": 1}}, "added_tokens": []}')
    loaded = load(str(own), own, lyric_vocabulary="vocabulary.json")
    assert b'"a": 1' in loaded.bundle_files()["lyric_vocabulary.json"]
    with pytest.raises(StageError, match=r"cannot read .*gone\.json: No such file"):
        load(str(own), own, lyric_vocabulary="gone.json")


@pytest.fixture
def hub_cache(monkeypatch, tmp_path_factory) -> Path:
    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


def test_a_base_that_was_not_fetched_says_how_to_fetch_it(hub_cache, tmp_path):
    with pytest.raises(StageError) as caught:
        load("hf:ACE-Step/ACE-Step-v1-3.5B", tmp_path, revision="v1")
    assert str(hub_cache) in str(caught.value)
    assert "hf download ACE-Step/ACE-Step-v1-3.5B --revision v1" in str(caught.value)
    with pytest.raises(StageError, match=r"hf download owner/name vocab/lyrics\.json"):
        load("nowhere", tmp_path, lyric_vocabulary="hf:owner/name/vocab/lyrics.json")
    with pytest.raises(StageError, match="names no file"):
        load("nowhere", tmp_path, lyric_vocabulary="hf:owner/name")


def test_a_fetched_base_is_identified_by_its_commit(hub_cache, saved, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = hub_cache / "models--someone--small"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).symlink_to(saved)
    loaded = load("hf:someone/small", tmp_path)
    assert loaded.identity == f"hf:someone/small@{commit}"
