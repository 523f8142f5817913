from __future__ import annotations

import json

import pytest

from lofi_engine.data.formats.folder import MARKER, fill_folder
from lofi_engine.errors import StageError

MADE_OF = {"format": "triple", "curate": "a1"}


def write_two(folder):
    (folder / "train").mkdir(exist_ok=True)
    (folder / "train" / "rain.mp3").write_bytes(b"rain")
    (folder / "LICENSES.md").write_text("cc0")


def contents(place):
    found = (path for path in place.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in found}


TWO = {"train/rain.mp3": b"rain", "LICENSES.md": b"cc0"}


def never(_folder):
    raise AssertionError("nothing had to be written")


def test_a_folder_appears_whole_with_its_marker_and_nothing_beside_it(tmp_path):
    place = tmp_path / "deep" / "out"
    assert fill_folder(place, MADE_OF, write_two)
    assert contents(place) == TWO
    marker = json.loads((place / MARKER).read_text())
    assert marker["made_of"] == MADE_OF
    assert sorted(marker["files"]) == sorted(TWO)
    assert [path.name for path in place.parent.iterdir()] == ["out"]


def test_what_is_there_already_is_left(tmp_path):
    assert fill_folder(tmp_path / "out", MADE_OF, write_two)
    assert not fill_folder(tmp_path / "out", MADE_OF, never)


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    assert fill_folder(tmp_path / "out", MADE_OF, write_two)
    assert contents(tmp_path / "out") == TWO


def test_an_export_of_other_tracks_takes_the_old_one_s_place(tmp_path):
    place = tmp_path / "out"
    fill_folder(place, MADE_OF, write_two)
    assert fill_folder(place, {**MADE_OF, "curate": "b2"}, lambda f: (f / "a").write_bytes(b"a"))
    assert contents(place) == {"a": b"a"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_that_is_gone_is_put_back(tmp_path):
    place = tmp_path / "out"
    fill_folder(place, MADE_OF, write_two)
    (place / "train" / "rain.mp3").unlink()
    assert fill_folder(place, MADE_OF, write_two)
    assert contents(place) == TWO


def own_folder(place):
    place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    return "no export made what is in it"


def edited(place):
    fill_folder(place, MADE_OF, write_two)
    (place / "LICENSES.md").write_text("mended by hand")
    return "'LICENSES.md' was changed after the export"


def added_to(place):
    fill_folder(place, MADE_OF, write_two)
    (place / "notes.txt").write_text("mine")
    return "'notes.txt' is not from an export"


def a_file(place):
    place.write_text("mine")
    return "a file is in the way"


def damaged(place):
    fill_folder(place, MADE_OF, write_two)
    (place / MARKER).write_text("{")
    return "lofi-export.json: is damaged"


@pytest.mark.parametrize("spoil", [own_folder, edited, added_to, a_file, damaged])
def test_what_an_export_did_not_make_is_never_overwritten(tmp_path, spoil):
    place = tmp_path / "out"
    said = spoil(place)
    before = contents(place) if place.is_dir() else place.read_text()
    with pytest.raises(StageError) as caught:
        fill_folder(place, {**MADE_OF, "curate": "b2"}, never)
    assert said in str(caught.value)
    assert str(caught.value).endswith("name another folder with --out, or move this one away")
    assert before == (contents(place) if place.is_dir() else place.read_text())


class KilledError(Exception):
    """What stops the export from outside."""


def stopped_after_one(folder):
    (folder / "first.mp3").write_bytes(b"first")
    (folder / ".second.mp3").write_bytes(b"sec")
    raise KilledError


@pytest.mark.parametrize(("curate", "kept"), [("a1", ["first.mp3"]), ("b2", [])])
def test_an_interrupted_export_is_continued_but_only_of_the_same_tracks(tmp_path, curate, kept):
    place = tmp_path / "out"
    with pytest.raises(KilledError):
        fill_folder(place, MADE_OF, stopped_after_one)
    assert not place.exists()
    found = []

    def finish(folder):
        found.extend(path.name for path in folder.glob("[!.]*.mp3"))
        (folder / "second.mp3").write_bytes(b"second")

    assert fill_folder(place, {**MADE_OF, "curate": curate}, finish)
    assert found == kept
    assert sorted(contents(place)) == sorted([*kept, "second.mp3"])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_export_leaves_the_old_one(tmp_path):
    fill_folder(tmp_path / "out", MADE_OF, write_two)
    with pytest.raises(KilledError):
        fill_folder(tmp_path / "out", {**MADE_OF, "curate": "b2"}, stopped_after_one)
    assert contents(tmp_path / "out") == TWO


def test_two_exports_to_one_place_do_not_meet(tmp_path):
    def export_again(folder):
        with pytest.raises(StageError, match="another export is writing here - wait for it"):
            fill_folder(tmp_path / "out", MADE_OF, never)
        write_two(folder)

    assert fill_folder(tmp_path / "out", MADE_OF, export_again)


def test_a_place_below_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StageError, match="cannot export here: ") as caught:
        fill_folder(tmp_path / "file" / "out", MADE_OF, never)
    assert "\n" not in str(caught.value)
