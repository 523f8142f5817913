from __future__ import annotations

import math

import pytest

from lofi_runtime.atomic import (
    link_or_copy,
    read_json,
    recover_folder,
    replace_folder,
    replacing,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail():
        with replacing(path) as aside:
            aside.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_json_is_read_back_and_nan_is_refused(tmp_path):
    write_json(tmp_path / "a.json", {"雨": [1, 2.5]})
    assert read_json(tmp_path / "a.json") == {"雨": [1, 2.5]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", math.nan)
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def make(folder, text):
    folder.mkdir()
    (folder / "x").write_text(text)
    return folder


def test_a_folder_takes_the_place_of_another(tmp_path):
    place = make(tmp_path / "place", "old")
    replace_folder(make(tmp_path / "new", "new"), place)
    assert (place / "x").read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["place"]


def test_a_replacement_killed_between_its_renames_is_undone(tmp_path):
    make(tmp_path / ".place.old", "old")
    recover_folder(tmp_path / "place")
    assert (tmp_path / "place" / "x").read_text() == "old"


def test_a_replacement_killed_before_its_end_is_finished(tmp_path):
    make(tmp_path / ".place.old", "old")
    make(tmp_path / "place", "new")
    recover_folder(tmp_path / "place")
    assert (tmp_path / "place" / "x").read_text() == "new"
    assert not (tmp_path / ".place.old").exists()


def test_a_second_name_holds_the_same_bytes(tmp_path):
    (tmp_path / "a").write_text("same")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "same"
