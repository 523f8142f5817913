from __future__ import annotations

import json
import os

import pytest

from lofi_engine import fingerprints
from lofi_engine.fingerprints import MISSING, TABLE_NAME, Fingerprints
from lofi_engine.hashing import hash_file


@pytest.fixture
def read_files(monkeypatch):
    """Count which files are really read."""
    seen = []

    def counted(path):
        seen.append(path.name)
        return hash_file(path)

    monkeypatch.setattr(fingerprints, "hash_file", counted)
    return seen


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, read_files):
    track = tmp_path / "track.wav"
    track.write_bytes(b"one")
    table = Fingerprints(tmp_path)
    first = table(track)
    assert first == hash_file(track) == table(track)
    table.save()
    assert Fingerprints(tmp_path)(track) == first
    assert read_files == ["track.wav"]
    track.write_bytes(b"two")
    os.utime(track, ns=(1, 1))
    assert Fingerprints(tmp_path)(track) != first
    assert read_files == ["track.wav"] * 2


def test_a_file_replaced_by_one_of_equal_size_and_time_is_noticed(tmp_path):
    track, other = tmp_path / "a.wav", tmp_path / "b.wav"
    for path, content in ((track, b"one"), (other, b"two")):
        path.write_bytes(content)
        os.utime(path, ns=(5, 5))
    table = Fingerprints(tmp_path)
    before = table(track)
    other.replace(track)
    assert table(track) != before


def test_a_folder_s_hash_is_of_names_and_content_wherever_it_lies(tmp_path):
    for home in ("here", "there"):
        (tmp_path / home / "raw" / "deep").mkdir(parents=True)
        (tmp_path / home / "raw" / "deep" / "a.wav").write_bytes(b"a")
        (tmp_path / home / "raw" / "b.wav").write_bytes(b"b")
    table = Fingerprints(tmp_path)
    here, there = table(tmp_path / "here" / "raw"), table(tmp_path / "there" / "raw")
    assert here == there
    (tmp_path / "there" / "raw" / "b.wav").rename(tmp_path / "there" / "raw" / "c.wav")
    assert table(tmp_path / "there" / "raw") != here
    (tmp_path / "here" / "raw" / "new.txt").touch()
    assert table(tmp_path / "here" / "raw") != here


def test_a_folder_with_a_name_that_is_not_utf8_has_a_hash(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    before = Fingerprints(tmp_path)(raw)
    with open(os.fsencode(raw) + b"/caf\xe9.wav", "wb"):
        pass
    table = Fingerprints(tmp_path)
    assert table(raw) != before
    table.save()
    assert Fingerprints(tmp_path)(raw) == table(raw)


def test_what_is_not_there_is_missing(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    table = Fingerprints(tmp_path)
    assert table(tmp_path / "nowhere") == MISSING
    assert table(tmp_path / "dangling") == MISSING


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"x": 5}', '{"PATH": [1, 2]}', "\x00"])
def test_a_damaged_table_costs_time_and_nothing_else(tmp_path, text):
    track = tmp_path / "track.wav"
    track.write_bytes(b"one")
    (tmp_path / TABLE_NAME).write_text(text.replace("PATH", str(track)))
    table = Fingerprints(tmp_path)
    assert table(track) == hash_file(track)
    table.save()
    assert str(track) in json.loads((tmp_path / TABLE_NAME).read_text())


def test_a_table_that_cannot_be_kept_is_no_error(tmp_path):
    track = tmp_path / "track.wav"
    track.write_bytes(b"one")
    nowhere = Fingerprints(tmp_path / "runs")
    assert nowhere(track) == hash_file(track)
    nowhere.save()
    assert not (tmp_path / "runs").exists()
    (tmp_path / TABLE_NAME).mkdir()
    blocked = Fingerprints(tmp_path)
    assert blocked(track) == hash_file(track)
    blocked.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == [TABLE_NAME, "track.wav"]


def test_an_unchanged_table_is_not_written(tmp_path):
    track = tmp_path / "track.wav"
    track.write_bytes(b"one")
    table = Fingerprints(tmp_path)
    table(track)
    table.save()
    stamp = (tmp_path / TABLE_NAME).stat().st_ino
    again = Fingerprints(tmp_path)
    again(track)
    again.save()
    assert (tmp_path / TABLE_NAME).stat().st_ino == stamp
