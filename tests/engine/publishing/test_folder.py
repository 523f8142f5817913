from __future__ import annotations

import hashlib
import json
import re

import pytest

from lofi_engine.errors import StageError
from lofi_engine.publishing import folder as publishing
from lofi_engine.publishing.folder import INDEX_NAME, Parcel, deliver


def make_parcel(place, model="lofi-a", content="weights", pages=("README.md",), extra=()):
    """A release of one bundle, as it lies before delivery."""
    bundle = place / f"{model}-int8-source"
    bundle.mkdir(parents=True)
    for name in ("model.onnx", "deep/tokenizer.json", *extra):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_text(f"{content} {name}")
    return Parcel(
        folders={f"{model}-int8": bundle},
        pages=dict.fromkeys(pages, f"# {model} {content}\n"),
        entries={f"{model}-int8": {"variant": "int8", "version": content}},
    )


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def index_of(target):
    return json.loads((target / INDEX_NAME).read_text())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "site" / "models"


def test_a_delivery_lies_there_and_is_listed_with_its_hashes(tmp_path, target):
    delivered = deliver(make_parcel(tmp_path), target)
    found = texts(target)
    assert sorted(found) == sorted(delivered)
    assert set(delivered) == {
        "README.md",
        INDEX_NAME,
        "lofi-a-int8/deep/tokenizer.json",
        "lofi-a-int8/model.onnx",
    }
    index = index_of(target)
    assert index["format"] == 1
    assert index["bundles"] == {"lofi-a-int8": {"variant": "int8", "version": "weights"}}
    assert index["files"] == {
        name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in found.items()
        if name != INDEX_NAME
    }
    assert "pending" not in index


def test_delivered_again_nothing_differs(tmp_path, target):
    parcel = make_parcel(tmp_path)
    first = deliver(parcel, target)
    before = texts(target)
    assert deliver(parcel, target) == first
    assert texts(target) == before


def test_a_new_release_replaces_the_old_one_whole(tmp_path, target):
    deliver(make_parcel(tmp_path / "1", extra=("lyrics.json",)), target)
    deliver(make_parcel(tmp_path / "2", content="better"), target)
    found = texts(target)
    assert found["lofi-a-int8/model.onnx"] == "better model.onnx"
    assert "lofi-a-int8/lyrics.json" not in found
    assert set(index_of(target)["files"]) == set(found) - {INDEX_NAME}


def test_two_models_in_one_folder_keep_each_other_s_entries(tmp_path, target):
    deliver(make_parcel(tmp_path / "1", "lofi-a"), target)
    deliver(make_parcel(tmp_path / "2", "lofi-b"), target)
    deliver(make_parcel(tmp_path / "3", "lofi-a", content="better"), target)
    index = index_of(target)
    assert {name: entry["version"] for name, entry in index["bundles"].items()} == {
        "lofi-a-int8": "better",
        "lofi-b-int8": "weights",
    }
    assert {"lofi-a-int8/model.onnx", "lofi-b-int8/model.onnx"} <= set(index["files"])
    assert texts(target)["lofi-b-int8/model.onnx"] == "weights model.onnx"


def test_other_people_s_files_are_not_touched(tmp_path, target):
    target.mkdir(parents=True)
    (target / "ace-step").mkdir()
    (target / "ace-step" / "model.onnx").write_text("someone's")
    (target / "notes.txt").write_text("someone's")
    parcel = make_parcel(tmp_path)
    delivered = {*deliver(parcel, target), *deliver(parcel, target)}
    found = texts(target)
    assert found["ace-step/model.onnx"] == found["notes.txt"] == "someone's"
    assert not {"ace-step/model.onnx", "notes.txt"} & delivered
    assert not {"ace-step/model.onnx", "notes.txt"} & set(index_of(target)["files"])


@pytest.mark.parametrize("name", ["README.md", "lofi-a-int8", "lofi-a-int8/model.onnx"])
def test_something_foreign_of_our_name_is_refused_by_name_and_kept(tmp_path, target, name):
    place = target / name
    place.parent.mkdir(parents=True)
    place.write_text("someone's")
    with pytest.raises(StageError) as caught:
        deliver(make_parcel(tmp_path), target)
    named = target / name.split("/")[0]
    assert str(caught.value) == (
        f"publish.to: {named} was not published by lofi-recipe - "
        "publish to another folder, or move it away"
    )
    assert texts(target) == {name: "someone's"}


@pytest.mark.parametrize("name", ["notes.txt", "deep/notes.txt", "new/deep/.hidden"])
def test_a_foreign_file_inside_our_bundle_is_refused_by_name_and_kept(tmp_path, target, name):
    deliver(make_parcel(tmp_path / "1"), target)
    foreign = target / "lofi-a-int8" / name
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("someone's")
    before = texts(target)
    with pytest.raises(StageError, match=re.escape(f"publish.to: {foreign} was not published")):
        deliver(make_parcel(tmp_path / "2", content="better"), target)
    assert texts(target) == before
    foreign.unlink()
    deliver(make_parcel(tmp_path / "3", content="better"), target)
    assert texts(target)["lofi-a-int8/model.onnx"] == "better model.onnx"


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "files": {',
        "[]",
        '{"format": 2}',
        '{"theirs": true}',
        '{"format": 1, "files": []}',
        '{"format": 1, "pending": "x"}',
    ],
)
def test_an_index_that_is_damaged_or_not_ours_is_refused_and_kept(tmp_path, target, text):
    target.mkdir(parents=True)
    (target / INDEX_NAME).write_text(text)
    with pytest.raises(StageError) as caught:
        deliver(make_parcel(tmp_path), target)
    assert str(caught.value) == (
        f"publish.to: {target / INDEX_NAME} is not an index this version wrote - "
        "publish to another folder, or move the file away"
    )
    assert texts(target) == {INDEX_NAME: text}


def test_a_file_where_the_folder_should_be_is_named(tmp_path, target):
    target.parent.mkdir()
    target.write_text("in the way")
    with pytest.raises(StageError, match="cannot be a folder: a file is in the way"):
        deliver(make_parcel(tmp_path), target)
    assert target.read_text() == "in the way"


class KilledError(BaseException):
    """What ends a delivery from outside."""


@pytest.mark.parametrize("when", ["copytree", "rename", "page", "index"])
@pytest.mark.parametrize("had", [False, True])
def test_an_interrupted_delivery_can_be_repeated(tmp_path, target, monkeypatch, when, had):
    if had:
        deliver(make_parcel(tmp_path / "old", content="old"), target)
    parcel = make_parcel(tmp_path / "new", content="new")

    def die(*_arguments, **_options):
        raise KilledError

    written = []
    write_whole = publishing._write_whole

    def die_at(name, count):
        def write(path, text):
            written.append(path.name)
            if written.count(name) == count:
                raise KilledError
            write_whole(path, text)

        monkeypatch.setattr(publishing, "_write_whole", write)

    match when:
        case "copytree":
            monkeypatch.setattr(publishing.shutil, "copytree", die)
        case "rename":
            monkeypatch.setattr(publishing.Path, "rename", die)
        case "page":
            die_at("README.md", 1)
        case "index":
            die_at(INDEX_NAME, 2)
    with pytest.raises(KilledError):
        deliver(parcel, target)
    monkeypatch.undo()
    assert not [name for name in texts(target) if name.startswith(".")]
    deliver(parcel, target)
    fresh = tmp_path / "fresh"
    deliver(parcel, fresh)
    assert texts(target) == texts(fresh)


def test_what_one_model_left_half_delivered_stays_its_own_after_another_s_delivery(
    tmp_path, target, monkeypatch
):
    first = make_parcel(tmp_path / "1", "lofi-a", pages=("A.md",))

    def die(path, _text):
        if path.name == "A.md":
            raise KilledError
        write_whole(path, _text)

    write_whole = publishing._write_whole
    monkeypatch.setattr(publishing, "_write_whole", die)
    with pytest.raises(KilledError):
        deliver(first, target)
    monkeypatch.undo()
    deliver(make_parcel(tmp_path / "2", "lofi-b", pages=("B.md",)), target)
    deliver(first, target)
    assert set(index_of(target)["bundles"]) == {"lofi-a-int8", "lofi-b-int8"}
    assert "pending" not in index_of(target)
