from __future__ import annotations

import errno
import json

import pytest

from lofi_engine.artifact import (
    RECORD_NAME,
    describe_files,
    list_files,
    missing_file,
    read_artifact,
    write_record,
)
from lofi_engine.errors import ArtifactError, StageError
from lofi_engine.hashing import content_hash, hash_value
from lofi_engine.lookup import look_up
from lofi_engine.plan import plan
from lofi_engine.stages.base import Outcome
from tests.support.dummy_stages import PIPELINE, dummy_stages
from tests.support.recipes import make_recipe

CONTENT = {"stage": "train", "key": "00112233aabbccdd", "settings": {"steps": 6}, "inputs": {}}
RECIPE = {"name": "small", "text": "version: 1  # as written\n"}


def fill(folder):
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"12345")
    (folder / "deep" / "speed.txt").write_text("fast")
    (folder / "figures.json").write_text(json.dumps({"a": 1, "measured": {"sec": 2}}))
    return folder


def record(folder, **changes):
    outcome = {"facts": {"steps": 6}, "measured_files": frozenset({"deep/speed.txt"}), **changes}
    return write_record(
        folder,
        content=CONTENT,
        outcome=Outcome(**outcome),
        recipe=RECIPE,
        measured={"duration_sec": 1.5},
    )


def test_a_folder_without_a_record_is_no_artifact(tmp_path):
    assert read_artifact(fill(tmp_path / "full")) is None
    assert read_artifact(tmp_path / "absent") is None


def test_a_record_says_what_is_there_and_is_read_back(tmp_path):
    folder = fill(tmp_path / "a")
    digest = record(folder, measured={"steps_per_sec": 3.0}, outside={"published/x": "ab"})
    artifact = read_artifact(folder)
    assert artifact is not None
    assert (artifact.stage, artifact.key) == ("train", "00112233aabbccdd")
    assert artifact.content_hash == digest == hash_value(artifact.content)
    assert set(artifact.content["files"]) == {"figures.json", "weights.bin"}
    assert artifact.content["files"]["weights.bin"]["size_bytes"] == 5
    assert "size_bytes" not in artifact.content["files"]["figures.json"]
    assert artifact.content["facts"] == {"steps": 6}
    assert artifact.content["outside"] == {"published/x": "ab"}
    assert artifact.measured == {"duration_sec": 1.5, "steps_per_sec": 3.0}
    assert json.loads((folder / RECORD_NAME).read_text())["recipe"] == RECIPE


def test_the_record_does_not_list_itself(tmp_path):
    folder = fill(tmp_path / "a")
    before = list_files(folder)
    record(folder)
    assert list_files(folder) == before == ["deep/speed.txt", "figures.json", "weights.bin"]


def test_measured_figures_do_not_change_the_content_hash_but_content_does(tmp_path):
    one, other = fill(tmp_path / "a"), fill(tmp_path / "b")
    (other / "deep" / "speed.txt").write_text("slower")
    (other / "figures.json").write_text(json.dumps({"a": 1, "measured": {"sec": 12345}}))
    assert record(one) == record(other, measured={"steps_per_sec": 9.0})
    (other / "weights.bin").write_bytes(b"12346")
    assert record(one) != record(other)
    assert record(one) != record(one, facts={"steps": 7})


def test_a_fact_that_is_no_number_is_refused_before_a_record_is_there(tmp_path):
    folder = fill(tmp_path / "a")
    with pytest.raises(ValueError, match="not JSON compliant"):
        record(folder, facts={"loss": float("nan")})
    assert read_artifact(folder) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "content": {',
        "[]",
        '"text"',
        '{"format": 1}',
        '{"format": 1, "content": "x", "content_hash": "", "measured": {}}',
        '{"format": 1, "content": {"stage": "a"}, "content_hash": "", "measured": {}}',
    ],
)
def test_a_damaged_record_says_which_file_and_what_to_do(tmp_path, text):
    (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(ArtifactError) as caught:
        read_artifact(tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / RECORD_NAME}: the record cannot be read (")
    assert said.endswith(" - delete the folder and run again")


def test_a_record_that_is_not_text_is_damaged(tmp_path):
    (tmp_path / RECORD_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="the record cannot be read"):
        read_artifact(tmp_path)


def test_a_record_of_another_format_is_refused_by_number(tmp_path):
    (tmp_path / RECORD_NAME).write_text('{"format": 2}')
    with pytest.raises(ArtifactError) as caught:
        read_artifact(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / RECORD_NAME}: record format 2 is not 1 - "
        "it was made by another version; run again with --force"
    )


def test_a_missing_or_cut_file_is_named(tmp_path):
    folder = fill(tmp_path / "a")
    record(folder)
    artifact = read_artifact(folder)
    assert missing_file(artifact, tmp_path) is None
    (folder / "weights.bin").write_bytes(b"123")
    assert missing_file(artifact, tmp_path) == "weights.bin has 3 bytes, not 5"
    (folder / "weights.bin").unlink()
    assert missing_file(artifact, tmp_path) == "weights.bin is gone"
    (folder / "figures.json").unlink()
    assert missing_file(artifact, tmp_path) == "figures.json is gone"


def test_files_outside_count_from_the_recipe_s_folder(tmp_path):
    folder = fill(tmp_path / "runs" / "a")
    outside = tmp_path / "published" / "index.json"
    outside.parent.mkdir()
    outside.write_text("{}")
    record(folder, outside={"published/index.json": ""})
    artifact = read_artifact(folder)
    assert missing_file(artifact, tmp_path) is None
    outside.write_text("[]")  # only its presence is recorded
    assert missing_file(artifact, tmp_path) is None
    outside.unlink()
    assert missing_file(artifact, tmp_path) == "published/index.json is gone"


def test_a_file_outside_that_someone_else_wrote_is_named_even_at_equal_size(tmp_path):
    folder = fill(tmp_path / "runs" / "a")
    (tmp_path / "manifest.json").write_text('{"a": 1, "measured": {"sec": 2}}')
    (tmp_path / "weights.bin").write_bytes(b"ours")
    names = ("manifest.json", "weights.bin")
    record(folder, outside={name: content_hash(tmp_path / name) for name in names})
    artifact = read_artifact(folder)
    assert missing_file(artifact, tmp_path) is None
    (tmp_path / "manifest.json").write_text('{"a": 1, "measured": {"sec": 33}}')
    assert missing_file(artifact, tmp_path) is None
    (tmp_path / "weights.bin").write_bytes(b"else")
    assert missing_file(artifact, tmp_path) == "weights.bin is not what this recipe published"
    (tmp_path / "manifest.json").write_text('{"a": 2}')
    assert missing_file(artifact, tmp_path) == "manifest.json is not what this recipe published"


def test_what_is_no_folder_is_an_error_a_user_can_mend(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(StageError) as caught:
        read_artifact(tmp_path / "runs" / "train" / "ab")
    path = tmp_path / "runs" / "train" / "ab" / RECORD_NAME
    assert str(caught.value) == (
        f"cannot read {path}: Not a directory - "
        "move away what is in the way there, or make it readable"
    )


def test_a_stage_s_place_taken_by_a_file_is_named_when_planning(tmp_path):
    recipe = make_recipe(tmp_path)
    planned = plan(recipe, dummy_stages(), lambda _path: "missing", PIPELINE)
    runs = tmp_path / "runs" / "small"
    runs.mkdir(parents=True)
    (runs / "second").write_text("in the way")
    with pytest.raises(StageError, match=r"cannot read .*/second/.*: Not a directory"):
        look_up(planned, runs)


def test_what_cannot_be_listed_when_planning_is_named(tmp_path, monkeypatch):
    planned = plan(make_recipe(tmp_path), dummy_stages(), lambda _path: "missing", PIPELINE)
    runs = tmp_path / "runs" / "small"
    (runs / "first").mkdir(parents=True)

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("lofi_engine.lookup.Path.iterdir", refuse)
    with pytest.raises(StageError, match=r"cannot read .*/first: Permission denied - move away"):
        look_up(planned, runs)


def test_a_record_of_before_published_files_were_hashed_is_still_read(tmp_path):
    folder = fill(tmp_path / "a")
    record(folder)
    text = (folder / RECORD_NAME).read_text()
    (folder / RECORD_NAME).write_text(text.replace('"outside": {}', '"outside": []'))
    assert missing_file(read_artifact(folder), tmp_path) is None


def test_describing_files_skips_only_those_named_measured(tmp_path):
    folder = fill(tmp_path / "a")
    assert set(describe_files(folder, frozenset())) == set(list_files(folder))
    assert "weights.bin" not in describe_files(folder, frozenset({"weights.bin"}))
