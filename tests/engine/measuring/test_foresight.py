from __future__ import annotations

import json

import pytest

from lofi_engine.measuring.foresight import missing_for_gates, most_reference_tracks
from lofi_engine.measuring.windowing import Windowing, too_few, windowing_of
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.embeddings.sound import SoundEmbedding
from lofi_engine.metrics.windows import cut_windows
from tests.support.recipes import make_recipe

SOUND = SoundEmbedding()
NEEDED = 2 * SOUND.dimensions
MANY = {"sources": [{"synth": {"tracks": 100, "duration_sec": 30}}]}


def lacks(folder, dataset=MANY, **measure):
    """What a recipe's gates will lack; many seeds and tracks where nothing is said."""
    values = {"seeds": 50, "duration_sec": 30, **measure}
    return list(missing_for_gates(make_recipe(folder, dataset=dataset, measure=values)))


def fad(**changes):
    return {"fad": {"max_increase": {"int8": 0.05}, **changes}}


def clap(**changes):
    return {"clap": {"max_drop": {"int8": 0.05}, **changes}}


def clap_folder(folder, **stated):
    """As much of a CLAP model as is read beforehand."""
    from safetensors.numpy import save_file

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "clap", "projection_dim": 16}))
    save_file({}, folder / "model.safetensors")
    if stated:
        (folder / "preprocessor_config.json").write_text(json.dumps(stated))


def test_a_recipe_without_gates_on_sound_lacks_nothing(tmp_path):
    assert lacks(tmp_path, seeds=1, duration_sec=1) == []


def test_enough_seeds_and_tracks_lack_nothing(tmp_path):
    assert lacks(tmp_path, **fad()) == []


@pytest.mark.parametrize("duration_sec", [2.99, 3, 4.49, 4.5, 5, 30, 33.1])
def test_windows_are_counted_as_they_are_cut(duration_sec):
    import numpy as np

    windowing = windowing_of("lofi-sound-v1", None)
    if duration_sec < 3:
        assert windowing.count(duration_sec) == 0
        return
    samples = np.zeros((2, round(duration_sec * 48_000)), np.float32)
    assert windowing.count(duration_sec) == len(cut_windows(Clip("x", samples, 48_000), SOUND))


def test_too_few_pieces_say_how_many_windows_they_give_and_how_many_are_needed(tmp_path):
    assert lacks(tmp_path, seeds=3, duration_sec=20, **fad()) == [
        f"measure.fad: 3 pieces of 20 s give 36 windows of 3 s, the {SOUND.dimensions} dimensions "
        f"of lofi-sound-v1 need {NEEDED} - raise measure.seeds or measure.duration_sec, or set "
        "measure.fad.project: true"
    ]
    assert lacks(tmp_path, seeds=3, duration_sec=20, **fad(project=True)) == []


def test_even_a_projection_needs_some_windows(tmp_path):
    assert lacks(tmp_path, seeds=3, duration_sec=5, **fad(project=True)) == [
        "measure.fad: 3 pieces of 5 s give 6 windows of 3 s, even a projection needs 8 - raise "
        "measure.seeds or measure.duration_sec"
    ]


def test_pieces_shorter_than_a_window_are_told_the_length(tmp_path):
    assert lacks(tmp_path, duration_sec=2, **fad()) == [
        "measure.duration_sec: 2 s is shorter than a window of lofi-sound-v1 - set it to 3 or more"
    ]


def test_one_seed_gives_no_interval(tmp_path):
    assert lacks(tmp_path, seeds=1, duration_sec=240, **fad()) == [
        "measure.seeds: 1 gives fad and clap no interval - set it to 2 or more"
    ]


def test_too_few_tracks_are_told_as_the_most_there_can_be(tmp_path):
    few = {"sources": [{"synth": {"tracks": 8, "duration_sec": 10}}], "holdout_share": 0.25}
    assert lacks(tmp_path, dataset=few, **fad()) == [
        "measure.fad: at most 4 tracks to hold them against give 20 windows of 3 s, the "
        f"{SOUND.dimensions} dimensions of lofi-sound-v1 need {NEEDED} - add tracks, or hold more "
        "of them out (dataset.holdout_share), or set measure.fad.project: true"
    ]


def test_one_held_out_track_is_no_reference(tmp_path):
    one = {"sources": [{"synth": {"tracks": 2, "duration_sec": 30}}], "holdout_share": 0.1}
    assert lacks(tmp_path, dataset=one, **fad(project=True)) == [
        "measure.fad: at most 1 track is held out, at least 2 are needed - add tracks, or hold "
        "more of them out (dataset.holdout_share)"
    ]


def test_files_count_as_the_longest_tracks_and_unknown_folders_are_not_guessed_at(tmp_path):
    folder = {"sources": [{"path": "raw", "ledger": "l.json"}], "holdout_share": 0}
    recipe = make_recipe(tmp_path, dataset=folder)
    assert most_reference_tracks(recipe) == []
    (tmp_path / "raw" / "deep").mkdir(parents=True)
    for name in ("a.wav", "deep/b.MP3", "notes.txt"):
        (tmp_path / "raw" / name).touch()
    assert most_reference_tracks(recipe) == [30.0, 30.0]


def test_a_missing_model_is_named_with_the_command_that_fetches_it(tmp_path):
    lines = lacks(tmp_path, **fad(embedding="hf:me/listener"), **clap(model="hf:me/other@1.0"))
    assert [line.split(" (")[0] for line in lines] == [
        "measure.fad.embedding: me/listener is not in the Hub's cache",
        "measure.clap.model: me/other at 1.0 is not in the Hub's cache",
    ]
    assert lines[0].endswith(" - fetch it with: hf download me/listener")
    assert lines[1].endswith(" - fetch it with: hf download me/other --revision 1.0")


def test_a_missing_folder_is_named_as_one(tmp_path):
    (line,) = lacks(tmp_path, **clap(model="listener"))
    assert line.startswith("measure.clap.model: the folder ")
    assert "listener is not there" in line


def test_a_clap_models_windows_and_dimensions_are_read_from_its_own_files(tmp_path):
    clap_folder(tmp_path / "clap", nb_max_samples=336_000, sampling_rate=48_000)
    assert windowing_of("clap", tmp_path) == Windowing("clap", 16, 7.0, 5.0)
    clap_folder(tmp_path / "plain")
    assert windowing_of("plain", tmp_path) == Windowing("plain", 16, 10.0, 5.0)
    assert lacks(tmp_path, duration_sec=6, **clap(model="clap")) == [
        "measure.duration_sec: 6 s is shorter than a window of clap - set it to 7 or more"
    ]


def test_exactly_twice_the_dimensions_are_enough():
    windowing = Windowing("x", 10, 1.0, 1.0)
    assert too_few("clips", 20, windowing, project=False) == ""
    assert "need 20" in too_few("clips", 19, windowing, project=False)
