from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from mutagen.mp3 import MP3

from lofi_engine.data.formats.audio import encode
from lofi_engine.data.formats.terms import ATTRIBUTIONS_NAME, LICENSES_NAME
from lofi_engine.data.formats.tracks import finished_tracks
from lofi_engine.data.formats.triple import check_place, write_triple
from lofi_engine.errors import StageError
from lofi_runtime.atomic import read_json
from tests.support.finished_data import CREDIT, LYRICS, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), {"rain": ".mp3"})


@pytest.fixture(scope="module")
def exported(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("triple")
    said: list[tuple[int, str]] = []
    write_triple(folder, finished_tracks(*data.folders()), lambda *done: said.append(done))
    assert [done for done, _name in said] == [1, 2, 3]
    assert sorted(name for _done, name in said) == ["night", "rain", "snow"]
    return folder


def converted(folder: Path):
    """What ACE-Step's converter makes of a folder: a row for each .mp3 with both texts."""
    rows = []
    for song in sorted(folder.glob("*.mp3")):
        texts = [Path(str(song).replace(".mp3", f"_{kind}.txt")) for kind in ("prompt", "lyrics")]
        if all(path.exists() for path in texts):
            prompt, lyrics = (path.read_text(encoding="utf-8").strip() for path in texts)
            rows.append((song.stem, prompt.split(", "), lyrics))
    return rows


def test_the_reference_s_converter_finds_every_track_of_a_side(exported):
    assert converted(exported / "train") == [
        ("night", ["lofi", "night", "piano", "72 bpm"], LYRICS.strip()),
        ("rain", ["lofi", "rain"], "[Instrumental]"),
    ]
    assert converted(exported / "validation") == [("snow", ["snow"], "[Instrumental]")]


def test_each_side_holds_three_files_a_track_and_no_more(exported):
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*.*")}
    sides = {"train/night", "train/rain", "validation/snow"}
    triples = {f"{name}{end}" for name in sides for end in (".mp3", "_prompt.txt", "_lyrics.txt")}
    assert names == triples | {LICENSES_NAME, ATTRIBUTIONS_NAME}


def test_flac_is_encoded_at_320_kbps_and_mp3_is_copied(exported, data):
    info = MP3(exported / "train" / "night.mp3").info
    assert (info.bitrate, info.sample_rate, info.channels) == (320_000, 48_000, 2)
    rain, curated = exported / "train" / "rain.mp3", data.curate / "tracks" / "rain.mp3"
    assert rain.read_bytes() == curated.read_bytes()
    # Its own bytes: a tag editor at work here must not reach the finished stage.
    assert rain.stat().st_ino != curated.stat().st_ino


def test_the_encoded_track_sounds_like_the_curated_one(exported, data):
    curated, _ = soundfile.read(data.curate / "tracks" / "night.flac")
    found, rate = soundfile.read(exported / "train" / "night.mp3")
    assert rate == 48_000
    assert len(curated) <= len(found) <= len(curated) + 4 * 1152

    def bands(samples):
        spectrum = np.abs(np.fft.rfft(samples[:, 0])) ** 2
        return np.log10([part.sum() for part in np.array_split(spectrum[: len(spectrum) // 2], 8)])

    assert bands(found) == pytest.approx(bands(curated), abs=0.05)


def test_the_terms_go_with_the_tracks(exported):
    page = (exported / LICENSES_NAME).read_text(encoding="utf-8")
    assert "| cc-by-4.0 | 1 |" in page
    assert f"- {CREDIT}".replace("|", "\\|") in page
    assert "| train/rain | cc-by-4.0 | synthesised | yes | Ann \\| Co |" in page
    assert "| validation/snow | ai-training-rights | commissioned | yes |  |  |" in page
    entries = {one["track"]: one for one in read_json(exported / ATTRIBUTIONS_NAME)["tracks"]}
    assert sorted(entries) == ["night", "rain", "snow"]
    assert entries["rain"]["attribution"] == CREDIT
    assert (entries["snow"]["split"], entries["snow"]["type"]) == ("validation", "commissioned")
    assert "noise" not in page


def test_what_was_encoded_before_is_kept(exported, data):
    before = (exported / "train" / "night.mp3").stat()
    write_triple(exported, finished_tracks(*data.folders()), lambda *_done: None)
    assert (exported / "train" / "night.mp3").stat() == before


def test_audio_that_is_gone_is_named(tmp_path):
    data = write_data(tmp_path / "data")
    (data.curate / "tracks" / "night.flac").unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(StageError, match=r"^night: .*night\.flac is gone - run again with --from"):
        write_triple(tmp_path / "out", finished_tracks(*data.folders()), lambda _done, _name: None)


def test_audio_that_is_damaged_is_refused_and_leaves_nothing(tmp_path, data):
    torn = tmp_path / "night.flac"
    torn.write_bytes((data.curate / "tracks" / "night.flac").read_bytes()[:2000])
    assert encode(torn, tmp_path / "night.mp3").reasons
    assert [path.name for path in tmp_path.iterdir()] == ["night.flac"]


def test_a_place_where_the_converter_would_find_no_texts_is_refused():
    check_place(Path("/data/lofi"))
    with pytest.raises(StageError, match=r"finds no texts below a path with '\.mp3' in it"):
        check_place(Path("/data/my.mp3s/lofi"))
