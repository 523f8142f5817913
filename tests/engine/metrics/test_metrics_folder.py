"""Folders of audio read as sets of clips: real files in many formats."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.clips import ClipFacts, ClipsInMemory
from lofi_engine.metrics.folder import ClipFolder, UnreadableClipsError
from tests.support.audio_folder import tune


def ignore(done, total, name):
    pass


def write(path, seed=1, sample_rate=44_100, channels=2, duration_sec=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.rint(tune(duration_sec, sample_rate, seed=seed)[:, :channels] * 32_767)
    soundfile.write(path, samples.astype(np.int16), sample_rate, subtype="PCM_16")


def test_clips_are_named_by_their_place_and_sorted(tmp_path):
    for place in ("b.wav", "a.flac", "deep/er/夜の雨.wav", "v1.5 take.wav"):
        write(tmp_path / place)
    write(tmp_path / ".hidden" / "no.wav")
    write(tmp_path / ".no.wav")
    (tmp_path / "notes.txt").write_text("not audio", encoding="utf-8")
    assert ClipFolder(tmp_path).names == ("a", "b", "deep/er/夜の雨", "v1.5 take")


def test_a_clip_has_the_files_samples_and_rate(tmp_path):
    write(tmp_path / "a.wav", channels=1, sample_rate=22_050)
    clip = ClipFolder(tmp_path).clip("a")
    expected = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)[0].T
    assert clip.sample_rate == 22_050
    assert clip.samples.dtype == np.float32
    np.testing.assert_array_equal(clip.samples, expected)


def test_surround_is_folded_to_stereo(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile(tune(1.0, 44_100, seed=1), (1, 3)), 44_100)
    assert ClipFolder(tmp_path).clip("a").samples.shape == (2, 44_100)


def test_the_hash_is_that_of_the_same_clips_in_memory_and_changes_with_names_and_samples(tmp_path):
    write(tmp_path / "one" / "a.wav")
    folder = ClipFolder(tmp_path / "one")
    assert folder.content_hash() == ClipsInMemory("x", [folder.clip("a")]).content_hash()
    write(tmp_path / "flac" / "a.flac")
    assert ClipFolder(tmp_path / "flac").content_hash() == folder.content_hash()
    write(tmp_path / "renamed" / "b.wav")
    write(tmp_path / "other" / "a.wav", seed=2)
    others = {ClipFolder(tmp_path / name).content_hash() for name in ("renamed", "other")}
    assert len({*others, folder.content_hash()}) == 3


def test_a_survey_gives_formats_and_lengths_and_reports_every_clip(tmp_path):
    write(tmp_path / "a.wav", duration_sec=1.5)
    write(tmp_path / "b.wav", channels=1, sample_rate=32_000)
    told = []
    extents = ClipFolder(tmp_path).survey(lambda *call: told.append(call))
    assert extents["a"].format == SoundFormat(44_100, 2)
    assert extents["a"].duration_sec == 1.5
    assert extents["b"].format == SoundFormat(32_000, 1)
    assert told == [(1, 2, "a"), (2, 2, "b")]


def test_every_unreadable_file_is_named_on_a_line_of_its_own(tmp_path):
    write(tmp_path / "good.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("a shopping list\n" * 100, encoding="utf-8")
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    with pytest.raises(UnreadableClipsError) as caught:
        ClipFolder(tmp_path).survey(ignore)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("empty.wav", "gone.wav", "text.mp3")
    ]
    assert "empty file - mend it or move it out of the folder" in lines[0]
    assert "No such file" in lines[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "is not there - name a folder of audio files"),
        (lambda folder: folder.write_text("x"), "is a file, not a folder"),
        (lambda folder: folder.mkdir(), "no audio is in it - audio is wav, flac"),
    ],
)
def test_what_is_no_folder_of_audio_is_refused(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(MetricError, match=message):
        ClipFolder(tmp_path / "x")


def test_two_files_that_would_be_one_clip_are_refused(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "a.flac")
    with pytest.raises(MetricError, match=r"a\.flac and a\.wav would both be a"):
        ClipFolder(tmp_path)


def test_latents_beside_a_clip_come_with_it(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    latents = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    np.save(tmp_path / "a.latents.npy", latents)
    folder = ClipFolder(tmp_path)
    found = folder.clip("a").latents
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, latents)
    assert (folder.has_latents("a"), folder.has_latents("b")) == (True, False)
    assert folder.clip("b").latents is None


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no array", "cannot be read as latents"), (None, r"holds int64 \(3,\) - latents are")],
)
def test_damaged_latents_are_refused_by_name(tmp_path, content, message):
    write(tmp_path / "a.wav")
    path = tmp_path / "a.latents.npy"
    np.save(path, np.arange(3))
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MetricError, match=rf"a\.latents\.npy: {message}"):
        ClipFolder(tmp_path).clip("a")


def test_pickled_latents_are_never_run(tmp_path):
    write(tmp_path / "a.wav")
    np.save(tmp_path / "a.latents.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(MetricError, match="cannot be read as latents"):
        ClipFolder(tmp_path).clip("a")


def test_the_table_comes_before_the_record_and_that_before_the_texts(tmp_path):
    for name in "abcd":
        write(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}_prompt.txt").write_text(f"text of {name},\n 80 bpm\n")
    (tmp_path / "a_lyrics.txt").write_text("[Verse]\nrain on the window\n", encoding="utf-8")
    (tmp_path / "d_lyrics.txt").write_text("[Instrumental]\n", encoding="utf-8")
    record = {"format": 1, "spec": {"prompt": "record of b", "style": "", "lyrics": "", "seed": 7}}
    (tmp_path / "b.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "c.wav.json").write_text(json.dumps(record), encoding="utf-8")
    table = {"c": {"prompt": "table of c", "style": "mine"}, "not here": {}}
    (tmp_path / "clips.json").write_text(json.dumps(table), encoding="utf-8")
    folder = ClipFolder(tmp_path)
    assert folder.facts("a") == ClipFacts("text of a, 80 bpm", "", "[Verse]\nrain on the window\n")
    assert folder.facts("b") == ClipFacts("record of b", "", "", 7)
    assert folder.facts("c") == ClipFacts("table of c", "mine", "", 7)
    assert folder.facts("d") == ClipFacts("text of d, 80 bpm")


def test_a_style_is_told_by_a_file_or_folder_named_after_it(tmp_path):
    for place in ("CORE-01/x.wav", "SEASON-06.wav", "CORE-99/y.wav", "VOCAL-05_take2.wav"):
        write(tmp_path / place)
    folder = ClipFolder(tmp_path)
    assert [folder.facts(name).style for name in folder.names] == [
        "CORE-01", "", "SEASON-06", "VOCAL-05",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("clips.json", "[1]", r"clips\.json: is no table of clips"),
        ("clips.json", '{"clips": {"a": 3}}', r"clips\.json: is no table of clips"),
        ("clips.json", "{", r"clips\.json: is not JSON"),
        ("clips.json", '{"a": {"seed": "7"}}', r"clips\.json: a: seed is '7' - it must be a whole"),
        ("clips.json", '{"a": {"prompt": 5}}', r"clips\.json: a: prompt is 5 - it must be text"),
        ("a.json", "[]", r"a\.json: is no record of a clip"),
        ("a.json", '{"seed": true}', r"a\.json: seed is True"),
    ],
)
def test_damaged_facts_are_refused_by_file(tmp_path, name, text, message):
    write(tmp_path / "a.wav")
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(MetricError, match=message):
        ClipFolder(tmp_path).facts("a")


def test_texts_that_are_not_utf8_are_refused(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "a_prompt.txt").write_bytes(b"caf\xe9")
    with pytest.raises(MetricError, match=r"a_prompt\.txt: is not UTF-8 text"):
        ClipFolder(tmp_path).facts("a")


def test_converting_brings_every_clip_to_one_format(tmp_path):
    write(tmp_path / "a.wav", sample_rate=48_000)
    write(tmp_path / "b.wav", sample_rate=32_000, channels=1)
    folder = ClipFolder(tmp_path, SoundFormat(32_000, 1))
    assert {one.format for one in folder.survey(ignore).values()} == {SoundFormat(32_000, 1)}
    assert folder.clip("a").samples.shape == (1, 32_000)
    assert folder.content_hash() != ClipFolder(tmp_path).content_hash()
