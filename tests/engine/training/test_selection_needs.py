from dataclasses import replace

import pytest

from lofi_engine.recipe.model import SelectWeights
from lofi_engine.training.selection_needs import few_tracks, missing_for_select
from tests.support.recipes import make_recipe

SYNTH = {"sources": [{"synth": {"tracks": 20, "duration_sec": 10}}], "holdout_share": 0.2}


def missing(folder, *, dataset=SYNTH, fad=1.0, prompt=0.0, **changes):
    recipe = make_recipe(folder, dataset=dataset)
    weights = SelectWeights(1.0, fad, prompt, 0.0)
    select = replace(recipe.select, weights=weights, **changes)
    return list(missing_for_select(replace(recipe, select=select)))


def test_a_choice_by_loss_alone_lacks_nothing(tmp_path):
    assert missing(tmp_path, fad=0.0, clips=2, duration_sec=3, clap="nowhere") == []


def test_enough_tracks_and_clips_lack_nothing(tmp_path):
    assert missing(tmp_path) == []


def test_too_few_or_short_clips_are_foreseen(tmp_path):
    assert missing(tmp_path, clips=2, duration_sec=4) == [
        "select: 2 clips of 4 s give 2 windows of 3 s, even a projection needs 8 - raise "
        "select.clips or select.duration_sec"
    ]


def test_too_few_held_out_tracks_are_foreseen(tmp_path):
    dataset = {"sources": [{"synth": {"tracks": 2, "duration_sec": 10}}], "holdout_share": 0.1}
    assert missing(tmp_path, dataset=dataset) == [
        "select.weights.fad: at most 1 held-out track, at least 2 are needed - add tracks, hold "
        "more of them out (dataset.holdout_share), or set it to 0"
    ]


def test_a_model_that_is_not_there_is_foreseen(tmp_path):
    (line,) = missing(tmp_path, fad=0.0, prompt=1.0, clap="nowhere")
    assert line.startswith("select.clap: ")
    assert "nowhere" in line


def test_clips_shorter_than_the_model_s_window_are_foreseen(tmp_path):
    (tmp_path / "clap").mkdir()
    (tmp_path / "clap" / "config.json").write_text('{"model_type": "clap"}')
    (tmp_path / "clap" / "model.safetensors").touch()
    assert missing(tmp_path, fad=0.0, prompt=1.0, clap="clap", duration_sec=9) == [
        "select.duration_sec: 9 s is shorter than the 10 s window of clap - raise it"
    ]


@pytest.mark.parametrize(
    ("durations_sec", "said"),
    [
        ([], "no track is held out"),
        ([60.0], "1 held-out track, at least 2 are needed"),
        ([4.0, 4.0], "2 held-out tracks give 2 windows of 3 s, even a projection needs 8"),
        ([9.0, 9.0], ""),
    ],
)
def test_held_out_tracks_are_counted_by_their_windows(durations_sec, said):
    assert few_tracks(durations_sec) == said
