from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from lofi_engine.errors import StageError
from lofi_engine.publishing import folder as publishing
from lofi_engine.publishing.folder import INDEX_NAME, LOCK_NAME, Parcel, deliver
from lofi_runtime import atomic


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
    """Every file's text but the lock's, which stays."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK_NAME
    }


def index_of(target):
    return json.loads((target / INDEX_NAME).read_text())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "site" / "models"


def test_a_delivery_lies_there_and_is_listed_with_its_hashes(tmp_path, target):
    delivered = deliver(make_parcel(tmp_path), target)
    found = texts(target)
    assert set(delivered) == set(found) - {INDEX_NAME}
    assert set(delivered) == {
        "README.md",
        "lofi-a-int8/deep/tokenizer.json",
        "lofi-a-int8/model.onnx",
    }
    index = index_of(target)
    assert index["format"] == 1
    assert index["bundles"] == {"lofi-a-int8": {"variant": "int8", "version": "weights"}}
    assert index["files"] == delivered
    assert delivered == {
        name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in found.items()
        if name != INDEX_NAME
    }
    assert "pending" not in index


def test_a_manifest_s_hash_in_the_index_is_what_sha256sum_says(tmp_path, target):
    parcel = make_parcel(tmp_path)
    (parcel.folders["lofi-a-int8"] / "manifest.json").write_text('{"a": 1, "measured": {"b": 2}}')
    deliver(parcel, target)
    content = (target / "lofi-a-int8" / "manifest.json").read_bytes()
    found = index_of(target)["files"]["lofi-a-int8/manifest.json"]
    assert found == hashlib.sha256(content).hexdigest()


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


def test_a_variant_that_is_no_longer_made_keeps_its_place_and_its_entry(tmp_path, target):
    first = make_parcel(tmp_path / "1")
    extra = tmp_path / "1" / "fp16"
    extra.mkdir()
    (extra / "model.onnx").write_text("wide")
    both = Parcel(
        {**first.folders, "lofi-a-fp16": extra},
        first.pages,
        {**first.entries, "lofi-a-fp16": {"variant": "fp16", "version": "weights"}},
    )
    deliver(both, target)
    deliver(make_parcel(tmp_path / "2", content="better"), target)
    assert texts(target)["lofi-a-fp16/model.onnx"] == "wide"
    assert index_of(target)["bundles"]["lofi-a-fp16"]["version"] == "weights"
    assert "lofi-a-fp16/model.onnx" in index_of(target)["files"]


def test_a_bundle_whose_folder_is_gone_is_no_longer_listed(tmp_path, target):
    deliver(make_parcel(tmp_path / "1", "lofi-a"), target)
    shutil.rmtree(target / "lofi-a-int8")
    deliver(make_parcel(tmp_path / "2", "lofi-b"), target)
    index = index_of(target)
    assert set(index["bundles"]) == {"lofi-b-int8"}
    assert not [name for name in index["files"] if name.startswith("lofi-a")]


def test_two_releases_at_once_lose_no_entry(tmp_path, target):
    models = [f"lofi-{letter}" for letter in "abcdef"]
    parcels = [make_parcel(tmp_path / model, model, pages=(f"{model}.md",)) for model in models]
    with ThreadPoolExecutor(len(parcels)) as pool:
        for done in [pool.submit(deliver, parcel, target) for parcel in parcels]:
            done.result()
    assert set(index_of(target)["bundles"]) == {f"{model}-int8" for model in models}
    assert set(index_of(target)["files"]) == set(texts(target)) - {INDEX_NAME}


def test_a_release_that_never_ends_is_named(tmp_path, target, monkeypatch):
    monkeypatch.setattr(publishing, "LOCK_TIMEOUT_SEC", 0.1)
    target.mkdir(parents=True)
    with (
        FileLock(target / LOCK_NAME),
        pytest.raises(StageError, match=r"another release has been publishing here for 0\.1 s"),
    ):
        deliver(make_parcel(tmp_path), target)
    assert texts(target) == {}


def test_other_people_s_files_are_not_touched(tmp_path, target):
    target.mkdir(parents=True)
    (target / "ace-step").mkdir()
    (target / "ace-step" / "model.onnx").write_text("someone's")
    (target / "notes.txt").write_text("someone's")
    (target / ".notes.txt.7.part").write_text("someone's")
    (target / ".notes.old").mkdir()
    (target / ".publishing-notes").mkdir()
    parcel = make_parcel(tmp_path)
    delivered = {*deliver(parcel, target), *deliver(parcel, target)}
    found = texts(target)
    assert found["ace-step/model.onnx"] == found["notes.txt"] == "someone's"
    assert found[".notes.txt.7.part"] == "someone's"
    assert (target / ".notes.old").is_dir()
    assert (target / ".publishing-notes").is_dir()
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


def fail_at(monkeypatch, when, fail):
    """Call `fail` at a point of the delivery, in place of what happens there."""

    def before(owner, name, count):
        real, calls = getattr(owner, name), []

        def watched(*arguments, **options):
            calls.append(name)
            if len(calls) == count:
                fail()
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    match when:
        case "first index":
            before(publishing, "write_json", 1)
        case "second copy":
            before(publishing.shutil, "copytree", 3)  # the second is the first bundle's own folder
        case "first rename":
            before(atomic.Path, "rename", 1)
        case "second rename":  # with an older release: between its going and the new one's coming
            before(atomic.Path, "rename", 2)
        case "page":
            before(publishing, "write_text", 1)
        case "last index":
            before(publishing, "write_json", 2)


POINTS = ["first index", "second copy", "first rename", "second rename", "page", "last index"]


def two_bundles(place, content):
    one, other = make_parcel(place, "lofi-a", content), make_parcel(place, "lofi-b", content)
    return Parcel({**one.folders, **other.folders}, one.pages, {**one.entries, **other.entries})


@pytest.mark.parametrize("when", POINTS)
@pytest.mark.parametrize("had", [False, True])
def test_an_interrupted_delivery_can_be_repeated(tmp_path, target, monkeypatch, when, had):
    if had:
        deliver(two_bundles(tmp_path / "old", "old"), target)
    parcel = two_bundles(tmp_path / "new", "new")

    def die():
        raise KilledError

    fail_at(monkeypatch, when, die)
    with pytest.raises(KilledError):
        deliver(parcel, target)
    monkeypatch.undo()
    assert not [path.name for path in target.iterdir() if path.name.startswith(".pub")]
    found = texts(target)
    assert not [name for name in found if name.startswith(".")]
    for bundle in ("lofi-a-int8", "lofi-b-int8"):
        words = {text.split()[0] for name, text in found.items() if name.startswith(bundle)}
        assert len(words) == 1 if had else len(words) <= 1  # never gone, never a mixture
    deliver(parcel, target)
    fresh = tmp_path / "fresh"
    deliver(parcel, fresh)
    assert texts(target) == texts(fresh)


def test_a_copy_that_fails_leaves_the_whole_old_release(tmp_path, target, monkeypatch):
    deliver(two_bundles(tmp_path / "old", "old"), target)
    before = texts(target)

    def fill_up():
        raise OSError(28, "No space left on device")

    fail_at(monkeypatch, "second copy", fill_up)
    with pytest.raises(OSError, match="No space left"):
        deliver(two_bundles(tmp_path / "new", "new"), target)
    after = texts(target)
    assert after.pop(INDEX_NAME) != before.pop(INDEX_NAME)  # it names what is under way
    assert after == before


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    import pytest
    from lofi_engine.publishing.folder import deliver
    from tests.engine.publishing.test_folder import fail_at, two_bundles

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    parcel = two_bundles(Path(sys.argv[1]), "new")
    fail_at(pytest.MonkeyPatch(), sys.argv[3], die)
    deliver(parcel, Path(sys.argv[2]))
""")


@pytest.mark.parametrize("when", ["second copy", "second rename"])
def test_what_a_kill_leaves_is_put_back_or_removed_by_the_next_delivery(tmp_path, target, when):
    deliver(two_bundles(tmp_path / "old", "old"), target)
    code = [sys.executable, "-c", KILLED, str(tmp_path / "new"), str(target), when]
    killed = subprocess.run(code, check=False, cwd=Path(__file__).parents[3])
    assert killed.returncode == -9
    assert [name for name in texts(target) if name.startswith(".")]
    (target / ".README.md.1.part").write_text("half")
    deliver(make_parcel(tmp_path / "other", "lofi-c", pages=("C.md",)), target)
    found = texts(target)
    assert not [name for name in found if name.startswith(".")]
    assert not list(target.glob(".publishing-*"))
    assert found["lofi-a-int8/model.onnx"] == "old model.onnx"
    assert found["lofi-b-int8/model.onnx"] == "old model.onnx"


def test_what_one_model_left_half_delivered_stays_its_own_after_another_s_delivery(
    tmp_path, target, monkeypatch
):
    first = make_parcel(tmp_path / "1", "lofi-a", pages=("A.md",))

    def die():
        raise KilledError

    fail_at(monkeypatch, "page", die)
    with pytest.raises(KilledError):
        deliver(first, target)
    monkeypatch.undo()
    deliver(make_parcel(tmp_path / "2", "lofi-b", pages=("B.md",)), target)
    deliver(first, target)
    assert set(index_of(target)["bundles"]) == {"lofi-a-int8", "lofi-b-int8"}
    assert "pending" not in index_of(target)
