from __future__ import annotations

import shutil

import pytest

from lofi_engine.cli.data.export import ExportFormat, data_export
from lofi_engine.errors import StageError
from tests.support.finished_data import finish_data
from tests.support.finished_run import lofi_recipe
from tests.support.programs import require
from tests.support.recipes import write_recipe


@pytest.fixture
def recipe(tmp_path):
    path = write_recipe(tmp_path / "home")
    finish_data(path, dict.fromkeys(("night", "rain", "snow"), ".mp3"))
    return path


def test_the_triple_goes_to_a_folder_and_an_equal_one_is_left(recipe, capsys):
    command = ("data", "export", recipe.name, "--format", "triple", "--out", "../out")
    done = lofi_recipe(*command, cwd=recipe.parent)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "export    3/3 tracks  snow")
    place = recipe.parent.parent / "out"
    first, following = done.stdout.splitlines()
    assert first == f"{place}: 2 train and 1 validation tracks exported"
    assert following == f"next, in ACE-Step: python convert2hf_dataset.py --data_dir {place}/train"
    assert (place / "train" / "rain_prompt.txt").read_text() == "lofi, rain"
    assert data_export(recipe, ExportFormat.TRIPLE, place) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{place}: 2 train and 1 validation tracks are there already\n")


def test_a_dataset_is_opened_where_it_lies_and_written_anew_where_it_was_moved(recipe, capsys):
    require("datasets")
    from datasets import load_from_disk

    place, moved = recipe.parent / "set", recipe.parent / "moved"
    command = ("data", "export", recipe.name, "--format", "datasets", "--out", "set")
    done = lofi_recipe(*command, cwd=recipe.parent)
    assert done.returncode == 0, done.stderr
    assert f"trainer.py --dataset_path {place}/train" in done.stdout
    assert load_from_disk(place / "train")[1]["filename"] == str(place / "audio/train/rain.mp3")
    shutil.move(place, moved)
    assert data_export(recipe, ExportFormat.DATASETS, moved) == 0
    assert "tracks exported" in capsys.readouterr().out
    assert load_from_disk(moved / "train")[1]["filename"] == str(moved / "audio/train/rain.mp3")


def test_a_folder_of_one_s_own_is_refused(recipe):
    with pytest.raises(StageError) as caught:
        data_export(recipe, ExportFormat.TRIPLE, recipe.parent)
    assert str(caught.value) == (
        f"{recipe.parent}: no export made what is in it - "
        "name another folder with --out, or move this one away"
    )


def test_stages_that_are_not_finished_are_named_with_the_command_that_runs_them(tmp_path):
    recipe = write_recipe(tmp_path)
    with pytest.raises(StageError) as caught:
        data_export(recipe, ExportFormat.TRIPLE, tmp_path / "out")
    assert str(caught.value) == (
        f"{recipe}: curate is not finished (it has not run yet) - run it first: "
        f"lofi-recipe run {recipe} --only curate --only describe --only split"
    )
    assert not (tmp_path / "out").exists()
