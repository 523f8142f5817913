"""Bases on disk: what is saved comes back, and what is wrong is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lofi_engine.errors import StageError
from lofi_engine.fingerprints import Fingerprints
from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.text import build_umt5
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.family import Conditioning
from lofi_engine.models.loading import base_sources
from lofi_engine.models.registry import FAMILIES
from lofi_engine.recipe.model import Base
from tests.support.golden import notes, shapes
from tests.support.recipes import make_recipe

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


WEIGHTS = {
    checkpoint.TRANSFORMER: checkpoint.WEIGHTS,
    checkpoint.DCAE: checkpoint.WEIGHTS,
    checkpoint.VOCODER: checkpoint.WEIGHTS,
    checkpoint.TEXT: checkpoint.TEXT_WEIGHTS,
}


def shard(path: Path, tensors, count=3) -> None:
    """Replace one file by shards and their index."""
    stem, names = path.name.removesuffix(".safetensors"), sorted(tensors)
    path.unlink()
    weight_map = {}
    for number in range(count):
        held = names[number::count]
        file = f"{stem}-{number + 1:05}-of-{count:05}.safetensors"
        save_file({name: tensors[name] for name in held}, path.with_name(file))
        weight_map |= dict.fromkeys(held, file)
    index = {"metadata": {}, "weight_map": weight_map}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(index))


def networks(base):
    return (base.transformer, base.dcae, base.vocoder, base.text.network)


def test_sharded_bfloat16_is_read_as_float32(own):
    for part, name in WEIGHTS.items():
        stored = load_file(own / part / name)
        shard(own / part / name, {key: value.bfloat16() for key, value in stored.items()})
    built, loaded = build_tiny(), load(str(own), own)
    for before, after in zip(networks(built), networks(loaded), strict=True):
        found = after.state_dict()
        for key, value in before.state_dict().items():
            assert found[key].dtype == torch.float32
            assert torch.equal(found[key], value.bfloat16().float()), key


def test_shards_are_among_a_base_s_files_and_its_identity(own, saved):
    path = own / checkpoint.TRANSFORMER / checkpoint.WEIGHTS
    shard(path, load_file(path), count=2)
    stem = f"{checkpoint.TRANSFORMER}/diffusion_pytorch_model"
    listed = [str(file.relative_to(own)) for file in checkpoint.files_of(own)]
    assert listed[4:7] == [
        f"{stem}.safetensors.index.json",
        f"{stem}-00001-of-00002.safetensors",
        f"{stem}-00002-of-00002.safetensors",
    ]
    first = load(str(own), own).identity
    second = own / f"{stem}-00002-of-00002.safetensors"
    save_file({key: value + 1 for key, value in load_file(second).items()}, second)
    assert len({first, load(str(own), own).identity, load(str(saved), saved).identity}) == 3
    second.unlink()
    with pytest.raises(StageError, match=r"lacks ace_step_transformer/.*-00002-of-00002\.safe"):
        load(str(own), own)


def test_a_base_of_pickles_is_refused(own):
    (own / checkpoint.DCAE / checkpoint.WEIGHTS).unlink()
    torch.save({}, own / checkpoint.DCAE / "diffusion_pytorch_model.bin")
    with pytest.raises(StageError, match=r"has diffusion_pytorch_model\.bin but no .*safetensors"):
        load(str(own), own)


HALVES = {"bf16": (torch.bfloat16, 2e-2), "fp16": (torch.float16, 2.5e-3)}
"""For each half precision, its type and how far a velocity may be from float32's, by `distance`:
five times the type's own rounding (2**-8 and 2**-11); measured 0.9e-2 and 1.2e-3."""


def conditioning(frames=40):
    draws = torch.Generator().manual_seed(3)
    text, lyrics = torch.randn(2, 5, 64, generator=draws), torch.randint(0, 270, (2, 7))
    told = Conditioning(
        text,
        torch.ones(2, 5, dtype=torch.int64),
        torch.randn(2, 512, generator=draws),
        lyrics,
        torch.ones(2, 7, dtype=torch.int64),
    )
    return torch.randn(2, 8, 16, frames, generator=draws), told


@pytest.mark.parametrize("precision", HALVES)
def test_a_base_of_half_precision_answers_nearly_as_float32_does(saved, precision):
    dtype, allowed = HALVES[precision]
    whole, half = load(str(saved), saved), load(str(saved), saved, precision=precision)
    for network in networks(half):
        assert {part.dtype for part in network.parameters()} == {dtype}
    latents, told = conditioning()
    told = replace(told, speaker=told.speaker[:, : half.speaker_width])
    with torch.inference_mode():
        for timestep in (999.0, 40.0):
            asked = torch.tensor([timestep, timestep])
            expected = whole.velocity(latents, asked, told)
            found = half.velocity(latents, asked, told)
            assert found.dtype == torch.float32
            assert distance(found, expected) < allowed


def distance(found, expected) -> float:
    """Root mean square of the difference over that of the expected."""
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize("precision", HALVES)
def test_a_base_of_half_precision_hears_reads_and_sounds_in_float32(saved, precision):
    whole, half = load(str(saved), saved), load(str(saved), saved, precision=precision)
    assert half.vocoder.mel_transform.mel_scale.fb.dtype == torch.float32
    sound = 0.1 * np.random.default_rng(2).standard_normal((2, 4096)).astype(np.float32)
    found, expected = half.encode_audio(sound, 44_100), whole.encode_audio(sound, 44_100)
    assert found.dtype == torch.float32
    assert distance(found, expected) < 0.2
    played = half.decode_audio(expected[None])
    assert played.dtype == np.float32
    assert distance(*map(torch.from_numpy, (played, whole.decode_audio(expected[None])))) < 0.5
    found, expected = half.encode_text(["rain"])[0], whole.encode_text(["rain"])[0]
    assert found.dtype == torch.float32
    assert distance(found, expected) < 0.2


@pytest.mark.parametrize("precision", HALVES)
def test_the_built_in_base_is_given_in_half_precision_too(saved, precision):
    built = load("builtin:tiny", saved, precision=precision)
    read = load(str(saved), saved, precision=precision)
    for one, other in zip(networks(built), networks(read), strict=True):
        weights = other.state_dict()
        assert all(torch.equal(part, weights[name]) for name, part in one.state_dict().items())
    latents, told = conditioning(frames=4)
    told = replace(told, speaker=told.speaker[:, : built.speaker_width])
    asked = torch.tensor([500.0])
    with torch.inference_mode():
        found, expected = (base.velocity(latents, asked, told) for base in (built, read))
        # Where weights lie in memory decides which kernel runs, and so the last bit.
        assert distance(found, expected) < 1e-2


def test_sums_of_linear_attention_may_pass_the_range_of_float16():
    half = load("builtin:tiny", Path(), precision="fp16")
    attention = half.transformer.transformer_blocks[0].attn
    given = []
    attention.to_v.register_forward_hook(lambda _module, _inputs, values: given.append(values))
    latents, told = conditioning(frames=700)
    told = replace(told, speaker=told.speaker[:, : half.speaker_width])
    with torch.inference_mode():
        attention.to_k.bias += 30.0
        attention.to_v.bias += 30.0
        velocity = half.velocity(latents, torch.tensor([500.0]), told)
    assert given[0].dtype == torch.float16
    assert 20.0 * float(given[0].float().sum(dim=1).max()) > torch.finfo(torch.float16).max
    assert bool(velocity.isfinite().all())


def test_an_unknown_precision_is_refused_before_anything_is_read(tmp_path):
    for model in ("builtin:tiny", "nowhere"):
        with pytest.raises(StageError, match="precision 'fp8' is unknown - use one of fp32, fp16"):
            load(model, tmp_path, precision="fp8")


@pytest.fixture(scope="module")
def other_transformer(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("merged") / "transformer" / checkpoint.WEIGHTS
    place.parent.mkdir()
    state = build_tiny().transformer.state_dict()
    save_file({key: value * 1.5 for key, value in state.items()}, place)
    return place


@pytest.mark.parametrize("of_a_folder", [False, True])
@pytest.mark.parametrize("builtin", [False, True])
def test_another_transformer_replaces_the_base_s_own(
    saved, other_transformer, builtin, of_a_folder
):
    model = "builtin:tiny" if builtin else str(saved)
    place = other_transformer.parent if of_a_folder else other_transformer
    plain, loaded = load(model, saved), load(model, saved, transformer=place)
    before, found = plain.transformer.state_dict(), loaded.transformer.state_dict()
    assert all(torch.equal(found[key], value * 1.5) for key, value in before.items())
    assert torch.equal(loaded.dcae.decoder.conv_in.weight, plain.dcae.decoder.conv_in.weight)
    assert loaded.identity == plain.identity
    assert not loaded.transformer.training


def test_the_base_s_own_transformer_is_not_read_where_another_is_given(own, other_transformer):
    rewrite(own / checkpoint.TRANSFORMER / checkpoint.WEIGHTS, b"not weights at all")
    loaded = load(str(own), own, transformer=other_transformer, precision="bf16")
    assert {part.dtype for part in loaded.transformer.parameters()} == {torch.bfloat16}
    (own / checkpoint.TRANSFORMER / checkpoint.WEIGHTS).unlink()
    load(str(own), own, transformer=other_transformer)


def test_another_transformer_that_is_not_there_or_does_not_fit_is_named(saved, tmp_path):
    for model in ("builtin:tiny", str(saved)):
        with pytest.raises(StageError, match=r"gone\.safetensors: the transformer's weights"):
            load(model, tmp_path, transformer=Path("gone.safetensors"))
        save_file({"a.0.b": torch.zeros(1)}, tmp_path / "other.safetensors")
        with pytest.raises(StageError, match=r"other\.safetensors: .* 1 unknown: a\.0\.b"):
            load(model, tmp_path, transformer=Path("other.safetensors"))


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
    assert str(caught.value) == (
        f"{path}: its tensors are not this network's: 1 missing: speaker_embedder.bias; "
        "1 unknown: extra; 1 of shape (3,), not (64,): genre_embedder.bias"
        " - are these the weights that belong to config.json?"
    )


def test_every_network_s_header_is_checked_before_any_data_is_read(own, monkeypatch):
    save_file({"a": torch.zeros(1)}, own / checkpoint.TEXT / "other")
    (own / checkpoint.TEXT / checkpoint.TEXT_WEIGHTS).unlink()
    (own / checkpoint.TEXT / "other").rename(own / checkpoint.TEXT / checkpoint.TEXT_WEIGHTS)
    monkeypatch.setattr("lofi_engine.models.weights.read_tensors", None)
    monkeypatch.setattr(checkpoint, "hash_file", None)
    text = r"umt5-base/model\.safetensors: .* missing: encoder\.block\.\{0-1\}\..* 1 unknown: a -"
    with pytest.raises(StageError, match=text):
        load(str(own), own)


def test_a_base_s_sources_change_with_its_shards(own):
    path = own / checkpoint.VOCODER / checkpoint.WEIGHTS
    shard(path, load_file(path), count=2)
    reference = Base("ace-step-v1", str(own), "main", None)
    recipe = replace(make_recipe(own / "recipe"), base=reference)
    (source,) = base_sources(recipe)
    before = Fingerprints(own / "runs")(source)
    changed = path.with_name("diffusion_pytorch_model-00002-of-00002.safetensors")
    save_file({key: value + 1 for key, value in load_file(changed).items()}, changed)
    assert Fingerprints(own / "runs")(source) != before


def test_a_base_with_more_layers_is_told_in_a_few_words(own):
    path = own / checkpoint.TRANSFORMER / checkpoint.CONFIG
    config = json.loads(path.read_text())
    rewrite(path, json.dumps(config | {"num_layers": 24}))
    with pytest.raises(StageError) as caught:
        load(str(own), own)
    said = str(caught.value)
    assert re.search(r"not this network's: \d+ missing: transformer_blocks\.\{4-23\}\.", said)
    assert len(said) < 1500


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (f"{checkpoint.VOCODER}/{checkpoint.WEIGHTS}", b"\x00" * 20, "header is damaged"),
        (f"{checkpoint.DCAE}/{checkpoint.CONFIG}", "{", "not JSON"),
        (f"{checkpoint.TRANSFORMER}/{checkpoint.CONFIG}", "[]", "a JSON object is needed"),
        (
            f"{checkpoint.TRANSFORMER}/{checkpoint.CONFIG}",
            "{}",
            r"config\.json: lacks num_layers, .*speaker_embedding_dim",
        ),
        (f"{checkpoint.TEXT}/{checkpoint.TOKENIZER}", "{}", r"tokenizer\.json"),
        (
            f"{checkpoint.TRANSFORMER}/{checkpoint.CONFIG}",
            '{"erg": 5}',
            r"config\.json: erg is 5, must be a mapping",
        ),
        (checkpoint.LYRIC_VOCABULARY, "{}", "not a tokenizers JSON"),
        (checkpoint.LYRIC_VOCABULARY, b"\xff\xfe\x00", r"cannot read .*vocabulary\.json: .*utf-8"),
    ],
)
def test_damaged_files_are_named(own, file, content, text):
    rewrite(own / file, content)
    with pytest.raises(StageError, match=text):
        load(str(own), own)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (checkpoint.TRANSFORMER, {"num_attention_heads": "two"}),
        (checkpoint.TRANSFORMER, {"num_layers": "four"}),
        (checkpoint.DCAE, {"decoder_block_types": 7}),
        (checkpoint.VOCODER, {"resblock_kernel_sizes": [-3]}),
        (checkpoint.TEXT, {"d_model": "wide"}),
    ],
)
def test_a_configuration_that_makes_no_network_is_named_on_one_line(own, part, wrong):
    config = own / part / checkpoint.CONFIG
    rewrite(config, json.dumps(json.loads(config.read_text()) | wrong))
    with pytest.raises(
        StageError, match=rf"{part}/config\.json: no network can be built"
    ) as caught:
        load(str(own), own)
    assert "\n" not in str(caught.value)


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


def test_a_lyric_vocabulary_on_the_hub_is_pinned_to_its_commit(hub_cache, saved):
    commit = "89abcdef0123456789abcdef0123456789abcdef"
    repository = hub_cache / "models--someone--words"
    place = repository / "snapshots" / commit / "vocab"
    place.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    written = (saved / checkpoint.LYRIC_VOCABULARY).read_text()
    (place / "lyrics.json").write_text(written)
    pinned = FAMILY.vocabulary_definition("hf:someone/words/vocab/lyrics.json")
    assert pinned == f"hf:someone/words/vocab/lyrics.json@{commit}"
    (repository / "refs" / "main").write_text("0" * 40)  # the branch moved
    assert load(str(saved), saved, lyric_vocabulary=pinned).lyric_vocabulary == written
    assert FAMILY.vocabulary_definition("words.json") == "words.json"


def test_guidance_that_would_weaken_layers_a_base_does_not_have_is_refused(own):
    path = own / checkpoint.TRANSFORMER / checkpoint.CONFIG
    config = json.loads(path.read_text())
    del config["erg"]
    rewrite(path, json.dumps(config))
    text = r"config\.json: erg\.decoder_layers is 15 to 20, but there are 4 layers - state the key"
    with pytest.raises(StageError, match=text):
        load(str(own), own)
