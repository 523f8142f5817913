from __future__ import annotations

import os

import pytest

from lofi_engine.data.folder import MAX_SIDECAR_BYTES, walk
from lofi_engine.data.names import Names, safe_name
from lofi_engine.errors import StageError


def test_files_come_sorted_with_hidden_ones_and_the_ledger_left_out(tmp_path):
    for name in ("b.wav", "a/z.flac", "a/.hidden.wav", ".git/c.wav", "C.MP3", "sources.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = walk(tmp_path, "raw", frozenset({(tmp_path / "sources.json").resolve()}))
    assert [(file.relative, file.refusal) for file in found] == [
        ("C.MP3", ""), ("a/z.flac", ""), ("b.wav", ""),
    ]  # fmt: skip


def test_the_record_of_a_generated_track_is_left_out_with_its_track_alone(tmp_path):
    for name in ("rain.wav", "rain.wav.json", "gone.wav.json", "rain.json"):
        (tmp_path / name).touch()
    found = [file.relative for file in walk(tmp_path, "raw")]
    assert found == ["gone.wav.json", "rain.json", "rain.wav"]


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.wav").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b.wav").symlink_to("a/x.wav")
    found = {file.relative: file.refusal for file in walk(tmp_path, "raw")}
    assert found == {
        "a/up": "a link to a folder, which is not followed",
        "a/x.wav": "",
        "b.wav": "",
    }


def test_a_link_to_itself_is_listed(tmp_path):
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert [file.relative for file in walk(tmp_path, "raw")] == ["loop.wav"]


def test_a_subfolder_that_cannot_be_read_is_refused_by_name_and_ends_nothing(tmp_path, monkeypatch):
    for name in ("a.wav", "closed/b.wav", "open/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scan = os.scandir

    def refuse(place):
        if str(place).endswith("closed") or place == closed_too:
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    closed_too = None
    monkeypatch.setattr(os, "scandir", refuse)
    found = {file.relative: file.refusal for file in walk(tmp_path, "raw")}
    assert found == {
        "a.wav": "",
        "closed": "a folder that cannot be read: Permission denied",
        "open/c.wav": "",
    }
    closed_too = str(tmp_path)
    with pytest.raises(StageError, match="'raw' cannot be read: Permission denied - make it"):
        walk(tmp_path, "raw")


def test_texts_beside_a_track_come_with_it(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "a_prompt.txt").write_bytes(b"\xef\xbb\xbfcalm, piano")
    (tmp_path / "a_lyrics.txt").write_text("[Verse]\nla", encoding="utf-8")
    (tmp_path / "b_prompt.txt").write_text("alone")
    (tmp_path / "c.txt").write_text("other")
    found = {file.relative: file for file in walk(tmp_path, "raw")}
    assert found["a.wav"].sidecars == (("prompt", "calm, piano"), ("lyrics", "[Verse]\nla"))
    assert found["b_prompt.txt"].refusal == "a sidecar without its track"
    assert found["c.txt"].refusal.startswith("not an audio file by its name (audio is wav, flac")
    assert set(found) == {"a.wav", "b_prompt.txt", "c.txt"}


def test_a_bad_text_beside_a_track_refuses_the_track(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "a_prompt.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b_lyrics.txt").write_bytes(b"a" * (MAX_SIDECAR_BYTES + 1))
    found = {file.relative: file.refusal for file in walk(tmp_path, "raw")}
    assert found["a.wav"] == "its a_prompt.txt is not UTF-8 text"
    assert found["b.wav"] == "its b_lyrics.txt is 65537 bytes, at most 65536 are read"


def test_names_that_are_not_utf8_are_shown_escaped(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    with open(path, "wb"):
        pass
    (file,) = walk(tmp_path, "raw")
    file.relative.encode()
    assert file.relative == r"caf\udce9.wav"
    assert file.path.is_file()


def test_a_folder_that_is_missing_or_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        StageError, match="the folder 'raw/gone' is not there - put the tracks there"
    ):
        walk(tmp_path / "gone", "raw/gone")
    with pytest.raises(StageError, match="the folder 'raw/file' is not a folder"):
        walk(tmp_path / "file", "raw/file")


def test_an_empty_folder_offers_nothing(tmp_path):
    (tmp_path / ".hidden").touch()
    assert walk(tmp_path, "raw/empty") == ()


def test_track_names_are_safe_everywhere():
    assert safe_name("Café del Mar (Live!) v1.2") == "Cafe_del_Mar_Live_v1_2"
    assert safe_name("../../etc/passwd") == "etc_passwd"
    assert safe_name("-rf *") == "rf"
    assert safe_name("夜の雨") == ""
    assert len(safe_name("x" * 300)) == 64


def test_track_names_are_unique_whatever_the_case_and_stay_so():
    def take_all() -> list[str]:
        names = Names()
        return [names.take(stem, source) for stem, source in (
            ("rain", "raw/rain.wav"), ("Rain", "raw/a/Rain.wav"), ("rain", "raw/b/rain.wav"),
            ("夜", "raw/夜.wav"), ("雨", "raw/雨.wav"),
        )]  # fmt: skip

    first = take_all()
    assert first == take_all()
    assert first[0] == "rain"
    assert len({name.lower() for name in first}) == 5
    assert all(name.startswith(("rain-", "Rain-")) for name in first[1:3])
    assert all(name.startswith("track-") for name in first[3:])
