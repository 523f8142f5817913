"""The bundles of the models folder: listed, verified, removed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lofi_runtime.bundle import MANIFEST_NAME
from lofi_runtime.errors import LofiError
from lofi_runtime.hub.errors import DownloadError
from lofi_runtime.hub.installed import find_problems, list_installed, remove
from lofi_runtime.hub.pull import ASIDE
from tests.support.published import make_bundle


@pytest.fixture
def models(tmp_path: Path) -> Path:
    make_bundle(tmp_path / "models" / "lofi-tiny-int8")
    return tmp_path / "models"


def nothing(_done: int, _total: int) -> None:
    pass


def test_bundles_are_listed_with_what_their_manifest_says(models: Path) -> None:
    (one,) = list_installed(models)
    assert (one.name, one.version, one.precision) == ("lofi-tiny-int8", "1.0.0", "int8")
    assert (one.license, one.state, one.problem) == ("apache-2.0", "whole", "")
    files = (models / "lofi-tiny-int8").iterdir()
    assert one.size_bytes == sum(path.stat().st_size for path in files)


def test_damaged_bundles_and_unfinished_pulls_are_listed_too(models: Path) -> None:
    (models / "lofi-tiny-int8" / "vocoder.onnx").unlink()
    half = models / ASIDE / "lofi-tiny-int4"
    half.mkdir(parents=True)
    (half / ".vocoder.onnx.0000.part").write_bytes(b"half")
    states = [(one.name, one.state, one.size_bytes) for one in list_installed(models)]
    assert [state[:2] for state in states] == [
        ("lofi-tiny-int8", "damaged"),
        ("lofi-tiny-int4", "unfinished"),
    ]
    assert states[1][2] == 4
    assert "lacks vocoder.onnx" in list_installed(models)[0].problem


def test_a_bundle_that_a_killed_pull_had_moved_away_is_put_back(models: Path) -> None:
    (models / "lofi-tiny-int8").rename(models / ".lofi-tiny-int8.old")
    assert [one.name for one in list_installed(models)] == ["lofi-tiny-int8"]


def test_verify_names_every_bad_file(models: Path) -> None:
    folder = models / "lofi-tiny-int8"
    heard = []
    assert find_problems(folder, lambda done, total: heard.append((done, total))) == []
    assert heard[-1][0] == heard[-1][1]
    weights = folder / "transformer_decoder_weights.bin"
    weights.write_bytes(bytes(weights.stat().st_size))
    (folder / "vocoder.onnx").write_bytes(b"short")
    (folder / "tokenizer.json").unlink()
    problems = find_problems(folder, nothing)
    assert len(problems) == 3
    assert any(f"{weights}: sha256 " in line for line in problems)
    assert any("vocoder.onnx: 5 bytes found, " in line for line in problems)
    assert any("tokenizer.json: cannot be read" in line for line in problems)


def test_an_unreadable_manifest_is_a_problem_of_its_own(models: Path) -> None:
    (models / "lofi-tiny-int8" / MANIFEST_NAME).write_text("{")
    assert [
        "not a readable manifest" in line
        for line in find_problems(models / "lofi-tiny-int8", nothing)
    ] == [True]
    assert list_installed(models)[0].state == "damaged"


def test_removing_frees_the_bundle_and_its_unfinished_pull(models: Path) -> None:
    half = models / ASIDE / "lofi-tiny-int8" / "x.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(bytes(1000))
    size_bytes = sum(one.size_bytes for one in list_installed(models))
    assert remove(models, "lofi-tiny-int8") == size_bytes
    assert list_installed(models) == []
    assert [path for path in models.rglob("*") if path.suffix != ".lock"] == [models / ASIDE]


def test_a_removal_that_was_killed_half_way_hinders_no_later_one(models: Path) -> None:
    half = models / ASIDE / ".lofi-tiny-int8.removed" / "vocoder.onnx"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x")
    remove(models, "lofi-tiny-int8")
    assert list_installed(models) == []
    assert not half.parent.exists()


def test_a_folder_that_cannot_be_written_is_named(models: Path) -> None:
    shutil.rmtree(models / ASIDE, ignore_errors=True)
    (models / ASIDE).write_text("a file in the way")
    with pytest.raises(DownloadError, match=r"cannot be written|exists"):
        remove(models, "lofi-tiny-int8")


@pytest.mark.parametrize("name", ["..", ".", "", "../outside", "/", ".pull", "notes"])
def test_what_is_no_bundle_of_the_folder_is_not_removed(models: Path, name: str) -> None:
    (models / "notes").mkdir()
    make_bundle(models.parent / "outside")
    with pytest.raises(LofiError, match=r"there is no bundle|not a bundle"):
        remove(models, name)
    assert len(list_installed(models)) == 1
    assert (models / "notes").is_dir()
    assert (models.parent / "outside" / MANIFEST_NAME).is_file()


def test_an_unknown_bundle_is_refused_with_the_nearest(models: Path) -> None:
    with pytest.raises(LofiError, match="did you mean 'lofi-tiny-int8'"):
        remove(models, "lofi-tiny-int4")


def test_a_linked_bundle_is_unlinked_and_its_files_stay(models: Path) -> None:
    elsewhere = make_bundle(models.parent / "elsewhere" / "lofi-linked-int8")
    (models / "lofi-linked-int8").symlink_to(elsewhere)
    remove(models, "lofi-linked-int8")
    assert (elsewhere / MANIFEST_NAME).is_file()
    assert not (models / "lofi-linked-int8").exists()
