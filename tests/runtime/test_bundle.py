from __future__ import annotations

import json
import os
import shutil

import pytest

from lofi_runtime.bundle import LYRIC_VOCABULARY, MANIFEST_NAME, REQUIRED_FILES, open_bundle
from lofi_runtime.errors import BundleError
from lofi_runtime.manifest import InputRecord
from tests.support.tiny_bundle import NAME, make_tiny_bundle, tiny_lyric_vocabulary_json


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / NAME)


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / NAME)


def change(folder, edit):
    path = folder / MANIFEST_NAME
    record = json.loads(path.read_text(encoding="utf-8"))
    edit(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def assert_refused(folder, match, **options):
    with pytest.raises(BundleError, match=match) as caught:
        open_bundle(folder, **options)
    assert "\n" not in str(caught.value)


def test_a_whole_bundle_opens_verified_with_its_manifest(folder):
    heard = []
    bundle = open_bundle(folder, on_bytes=lambda done, total: heard.append((done, total)))
    assert bundle.verified
    assert bundle.has_lyrics
    assert (bundle.name, bundle.version) == (NAME, "0.0.1")
    assert bundle.manifest.variant == "fp32"
    assert bundle.manifest.widths == {"transformer_decoder": {32: 1536}}
    assert bundle.manifest.graphs["vocoder.onnx"].inputs == (InputRecord("mel", "float32"),)
    assert bundle.config.min_duration_sec == 1
    assert bundle.config.max_duration_sec == 240
    total = bundle.manifest.size_bytes
    assert heard[-1] == (total, total)
    assert total == sum(p.stat().st_size for p in folder.iterdir() if p.name != MANIFEST_NAME)


def test_latent_frames_are_rounded_up(folder):
    config = open_bundle(folder).config
    assert [config.frames(seconds) for seconds in (1, 10, 30, 240)] == [11, 108, 323, 2584]


@pytest.mark.parametrize("file", REQUIRED_FILES)
def test_every_one_of_the_seven_files_is_needed(folder, file):
    (folder / file).unlink()
    assert_refused(folder, f"lacks {file} - pull it again")


def test_a_changed_byte_is_found_and_named(folder):
    path = folder / "transformer_decoder_weights.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert_refused(
        folder, r"transformer_decoder_weights.bin: sha256 [0-9a-f]{64} found, [0-9a-f]{64} exp"
    )
    assert not open_bundle(folder, verify=False).verified


def test_a_cut_file_is_found_without_reading_it(folder):
    path = folder / "vocoder.onnx"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(folder, rf"vocoder.onnx: {size - 1} bytes found, {size} expected", verify=False)


def test_a_listed_file_that_is_not_required_must_be_there_too(folder):
    (folder / "lyric_vocabulary.json").unlink()
    assert_refused(folder, r"lyric_vocabulary.json: listed in manifest.json but missing")


def test_a_missing_folder_is_named(tmp_path):
    assert_refused(tmp_path / "nowhere", "nowhere: no such bundle folder - pull the model first")


def test_a_folder_without_manifest_opens_only_on_request_and_unverified(folder):
    (folder / MANIFEST_NAME).unlink()
    assert_refused(folder, r"has no manifest.json, so its files cannot be verified")
    bundle = open_bundle(folder, verify=False)
    assert (bundle.verified, bundle.manifest, bundle.version) == (False, None, "unverified")
    assert bundle.config.text_width == 768


def test_a_newer_manifest_asks_for_an_upgrade(folder):
    change(folder, lambda record: record.update(format=2, surprise=True))
    assert_refused(folder, r"manifest format 2, this version reads 1 - upgrade lofi-recipe")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda r: r.update(extra=1), r"top level: .*'extra' was unexpected"),
        (lambda r: r.pop("license"), r"top level: 'license' is a required property"),
        (lambda r: r["files"].pop("vocoder.onnx"), r"files: 'vocoder.onnx' is a required property"),
        (lambda r: r["config"].update(hop=0), r"config.hop: 0 is less than the minimum of 1"),
        (
            lambda r: r["files"].update({"../x": r["files"]["vocoder.onnx"]}),
            r"files: '../x' does n",
        ),
        (lambda r: r.update(coverage=2), r"coverage: 2 is greater than the maximum of 1"),
        (
            lambda r: r["opset"].update(version="17"),
            r"opset.version: '17' is not of type 'integer'",
        ),
    ],
)
def test_a_manifest_that_breaks_the_schema_is_refused_by_key(folder, edit, match):
    change(folder, edit)
    assert_refused(folder, rf"manifest.json: {match}")


def test_what_is_not_json_or_not_a_manifest_is_refused(folder):
    (folder / MANIFEST_NAME).write_text("{", encoding="utf-8")
    assert_refused(folder, "not a readable manifest")
    (folder / MANIFEST_NAME).write_text("[]", encoding="utf-8")
    assert_refused(folder, "not a manifest")


def test_the_types_know_every_key_of_the_schema():
    from dataclasses import fields

    from lofi_runtime.manifest import Manifest, PipelineConfig
    from lofi_runtime.shared_data import shared_folder

    schema = json.loads((shared_folder("schemas") / "manifest.v1.schema.json").read_text())
    config = schema["properties"]["config"]["properties"]
    assert {item.name for item in fields(PipelineConfig)} == set(config)
    defaults = PipelineConfig()
    for key, rule in config.items():
        if "default" in rule:
            assert getattr(defaults, key) == rule["default"]
    assert {item.name for item in fields(Manifest)} <= set(schema["required"]) | {"measured"}


def test_the_identity_is_that_of_the_content_not_of_the_name(made, folder):
    identity = open_bundle(folder).identity
    assert len(identity) == 16
    assert identity == open_bundle(made).identity
    change(folder, lambda record: record.update(name="other", version="9.9"))
    assert open_bundle(folder).identity == identity
    change(folder, lambda record: record["config"].update(shift=2.0))
    assert open_bundle(folder).identity != identity


def test_other_weights_are_another_identity_under_the_same_name_and_release(made, tmp_path):
    other = open_bundle(make_tiny_bundle(tmp_path / NAME, seed=8))
    assert (other.name, other.version) == (open_bundle(made).name, open_bundle(made).version)
    assert other.identity != open_bundle(made).identity


def test_unverified_folders_of_one_name_have_identities_of_their_own(tmp_path):
    folders = [make_tiny_bundle(tmp_path / one / "same", manifest=False) for one in "ab"]
    first, second = (open_bundle(folder, verify=False).identity for folder in folders)
    assert first != second
    path = folders[0] / "vocoder.onnx"
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert open_bundle(folders[0], verify=False).identity != first


def test_a_lyric_vocabulary_that_the_manifest_does_not_list_is_not_used(tmp_path):
    folder = make_tiny_bundle(tmp_path / NAME, lyrics=False)
    (folder / LYRIC_VOCABULARY).write_text(tiny_lyric_vocabulary_json(), encoding="utf-8")
    assert not open_bundle(folder).has_lyrics
    (folder / MANIFEST_NAME).unlink()
    assert open_bundle(folder, verify=False).has_lyrics


def test_a_file_touched_after_the_check_is_named(folder):
    bundle = open_bundle(folder)
    bundle.check_unchanged()
    content = (folder / "vocoder.onnx").read_bytes()
    (folder / "aside").write_bytes(content)
    (folder / "aside").replace(folder / "vocoder.onnx")
    with pytest.raises(BundleError, match=r"vocoder.onnx: changed while the bundle was being load"):
        bundle.check_unchanged()
