"""The dataset is opened by the real library and read the way ACE-Step's trainer reads it."""

from __future__ import annotations

import json
import random
import re
import shutil

import pytest
import soundfile

from lofi_engine.data.formats import hugging_face
from lofi_engine.data.formats.tracks import finished_tracks
from lofi_engine.errors import StageError
from tests.support.finished_data import CAPTIONS, LYRICS, write_data
from tests.support.programs import require

COLUMNS = ["keys", "filename", "tags", "speaker_emb_path", "norm_lyrics", "recaption"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export, already in its place."""
    require("datasets")
    data = write_data(tmp_path_factory.mktemp("data"), {"rain": ".mp3"})
    place = tmp_path_factory.mktemp("sets") / "out"
    part = place.with_name(".out.part")
    part.mkdir()
    tracks = finished_tracks(*data.folders())
    hugging_face.write_dataset(part, place, tracks, lambda _done, _name: None)
    part.rename(place)
    return place


def opened(folder):
    from datasets import load_from_disk

    return load_from_disk(folder)


def test_the_library_opens_the_whole_and_each_side(exported):
    whole = opened(exported)
    assert {side: len(whole[side]) for side in whole} == {"train": 2, "validation": 1}
    assert opened(exported / "train").column_names == COLUMNS
    assert opened(exported / "validation")["keys"][:] == ["snow"]


def test_the_columns_have_the_types_of_the_reference(exported):
    from datasets import List, Value

    assert opened(exported / "train").features == {
        "keys": Value("string"),
        "filename": Value("string"),
        "tags": List(Value("string")),
        "speaker_emb_path": Value("string"),
        "norm_lyrics": Value("string"),
        "recaption": {"descriptive": Value("string"), "simplified": Value("string")},
    }
    # The reference has no captions at all, as here the validation side.
    assert opened(exported / "validation").features["recaption"] == {}


def test_no_version_s_own_names_of_types_are_written(exported):
    import pyarrow

    for side in ("train", "validation"):
        assert json.loads((exported / side / "dataset_info.json").read_text())["features"] is None
        for path in (exported / side).glob("*.arrow"):
            with pyarrow.memory_map(str(path)) as file:
                assert pyarrow.ipc.open_stream(file).schema.metadata is None


def test_a_row_says_what_the_stages_said(exported):
    night, rain = opened(exported / "train")
    assert night == {
        "keys": "night",
        "filename": str(exported / "audio" / "train" / "night.flac"),
        "tags": ["lofi", "night", "piano", "72 bpm"],
        "speaker_emb_path": "",
        "norm_lyrics": LYRICS.strip(),
        "recaption": CAPTIONS,
    }
    assert rain["recaption"] == {"descriptive": "", "simplified": "rain lofi"}
    assert rain["filename"].endswith("audio/train/rain.mp3")


def read_as_the_trainer(dataset, index, chance):
    """Read one item as ACE-Step's trainer does; give its prompt, lyrics, speaker and audio."""
    item = dataset[index]
    item["idx"] = index
    if re.search(r"write a .* song that genre is", item["norm_lyrics"]):
        item["norm_lyrics"] = ""
    # Its code has a speaker only where no path is given, and fails on any other.
    assert not item["speaker_emb_path"]
    tags = item["tags"] if len(item["tags"]) else ["music"]
    chance.shuffle(tags)
    texts = [text for text in item["recaption"].values() if isinstance(text, str) and text]
    prompt = chance.choice([*texts, ", ".join(tags)])[:256]
    samples, sample_rate = soundfile.read(item["filename"], always_2d=True)
    return prompt, item["norm_lyrics"].split("\n"), (samples.shape, sample_rate)


def test_the_trainer_reads_every_text_and_the_audio_from_any_folder(
    exported, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    dataset = opened(exported / "train").select(range(2))
    chance = random.Random(3)
    seen = [read_as_the_trainer(dataset, 0, chance) for _ in range(60)]
    prompts = {prompt for prompt, _lyrics, _audio in seen}
    assert set(CAPTIONS.values()) < prompts
    orders = prompts - set(CAPTIONS.values())
    assert len(orders) > 5
    assert {tuple(sorted(text.split(", "))) for text in orders} == {
        ("72 bpm", "lofi", "night", "piano")
    }
    _prompt, lyrics, audio = seen[0]
    assert lyrics == [
        "[Verse]",
        "Stay with me",
        "until the morning light",
        "",
        "[Chorus]",
        "ねむれ",
    ]
    assert audio == ((192_000, 2), 48_000)
    # A track without some captions is never read with an empty one.
    assert all(read_as_the_trainer(dataset, 1, chance)[0] for _ in range(30))
    (held_out,) = (read_as_the_trainer(opened(exported / "validation"), 0, chance),)
    assert held_out[0] == "snow"


def test_the_library_draws_no_bars_and_keeps_what_was_asked_of_it(exported, tmp_path, capsys):
    import datasets

    shown = datasets.is_progress_bar_enabled()
    rows = [{"keys": "a", "tags": ["lofi"]}]
    hugging_face._save({"train": rows}, tmp_path)
    assert capsys.readouterr() == ("", "")
    assert datasets.is_progress_bar_enabled() is shown


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(hugging_face.util, "find_spec", lambda _name: None)
    with pytest.raises(StageError) as caught:
        hugging_face.check_installed()
    assert str(caught.value) == (
        "writing a Hugging Face dataset needs the package 'datasets' - "
        "pip install 'lofi-recipe[datasets]'"
    )


def test_an_interrupted_dataset_is_written_over(exported, tmp_path):
    data = write_data(tmp_path / "data")
    tracks = finished_tracks(*data.folders())
    part = tmp_path / "part"
    shutil.copytree(exported, part)
    (part / "train" / "data-00000-of-00001.arrow").write_bytes(b"torn")
    hugging_face.write_dataset(part, exported, tracks, lambda _done, _name: None)
    assert opened(part / "train")["keys"][:] == ["night", "rain"]
