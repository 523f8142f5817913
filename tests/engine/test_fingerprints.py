from __future__ import annotations

import json
import os

import pytest
from platformdirs import user_cache_path

from lofi_engine import fingerprints
from lofi_engine.fingerprints import MISSING, TABLE_NAME, Fingerprints
from lofi_engine.hashing import content_hash, hash_file


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


def cached_tables():
    return sorted(user_cache_path("lofi", appauthor=False).rglob("*.json"))


def test_before_the_first_run_the_table_lies_in_the_user_s_cache_and_then_moves(
    tmp_path, read_files
):
    track, runs = tmp_path / "track.wav", tmp_path / "runs"
    track.write_bytes(b"one")
    for _planned in range(2):
        table = Fingerprints(runs)
        table(track)
        table.save()
    assert read_files == ["track.wav"]
    assert not runs.exists()
    assert len(cached_tables()) == 1
    runs.mkdir()
    for _ran in range(2):
        table = Fingerprints(runs)
        table(track)
        table.save()
    assert read_files == ["track.wav"]
    assert str(track) in json.loads((runs / TABLE_NAME).read_text())
    assert cached_tables() == []


def test_two_recipes_that_never_ran_keep_tables_of_their_own(tmp_path):
    track = tmp_path / "track.wav"
    track.write_bytes(b"one")
    for name in ("a", "b"):
        table = Fingerprints(tmp_path / name)
        table(track)
        table.save()
    assert len(cached_tables()) == 2


def test_a_runs_folder_that_cannot_take_the_table_costs_no_second_reading(tmp_path, read_files):
    track = tmp_path / "track.wav"
    track.write_bytes(b"one")
    (tmp_path / TABLE_NAME).mkdir()
    for _planned in range(2):
        blocked = Fingerprints(tmp_path)
        assert blocked(track) == hash_file(track)
        blocked.save()
    assert read_files == ["track.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [TABLE_NAME, "track.wav"]


def test_a_table_that_can_be_kept_nowhere_is_no_error(tmp_path, monkeypatch):
    track, blocked = tmp_path / "track.wav", tmp_path / "file"
    track.write_bytes(b"one")
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    table = Fingerprints(tmp_path / "runs")
    assert table(track) == hash_file(track)
    table.save()
    assert blocked.read_bytes() == b""
    assert not (tmp_path / "runs").exists()


def test_the_content_hash_of_weights_is_remembered_and_of_json_leaves_out_what_was_measured(
    tmp_path, read_files
):
    weights, manifest = tmp_path / "weights.bin", tmp_path / "manifest.json"
    weights.write_bytes(b"one")
    manifest.write_text('{"a": 1, "measured": 2}')
    table = Fingerprints(tmp_path)
    assert table.content(weights) == table.content(weights) == hash_file(weights)
    assert read_files == ["weights.bin"]
    assert table.content(manifest) == content_hash(manifest) != hash_file(manifest)
    assert table.content(tmp_path / "gone.json") == table.content(tmp_path / "gone") == MISSING


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
