from __future__ import annotations

import json

import pytest

from lofi_engine.cli.status import run_status
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import LOG_NAME, exclusive, runs_folder
from tests.support.finished_stages import finish
from tests.support.recipes import write_recipe


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


def said(capsys, recipe):
    assert run_status(recipe) == 0
    return capsys.readouterr().out.splitlines()


def write_log(recipe, *events):
    folder = runs_folder(load_recipe(recipe))
    folder.mkdir(parents=True, exist_ok=True)
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    (folder / LOG_NAME).write_text("\n".join(lines) + "\n")


def event(**changes):
    values = {"time": 1.0, "stage": "train", "done": 0, "total": 0, "unit": "", "message": "x"}
    return {**values, "kind": "begin", **changes}


def test_a_finished_stage_says_how_long_how_large_and_when(recipe, capsys):
    finish(recipe, "curate", size_bytes=2_500_000)
    lines = said(capsys, recipe)
    assert lines[0].startswith("curate    ")
    assert lines[0].endswith("  cached  12.3 s, 2.5 MB, 2026-01-02T03:04:05Z")
    assert lines[1].endswith("to run, because it has not run yet")


def test_it_ends_with_whether_a_run_is_at_work_and_the_last_event(recipe, capsys):
    assert said(capsys, recipe)[-1] == "no run is at work"
    write_log(recipe, event(), event(kind="progress", done=3, total=6, unit="steps", message="l"))
    assert said(capsys, recipe)[-1] == ("no run is at work; last event: train progress 3/6 steps l")
    with exclusive(runs_folder(load_recipe(recipe))):
        assert said(capsys, recipe)[-1].startswith("a run is at work; last event: train")
    assert said(capsys, recipe)[-1].startswith("no run is at work; ")


def test_a_failure_is_told_with_its_message(recipe, capsys):
    write_log(recipe, event(kind="failed", message="train: the loss is nan"))
    assert said(capsys, recipe)[-1].endswith("last event: train failed train: the loss is nan")


@pytest.mark.parametrize("last", ["", '{"time": 1.0, "sta', "\x00\x00"])
def test_a_log_whose_last_line_is_torn_is_no_error(recipe, capsys, last):
    write_log(recipe, event(), last) if last else write_log(recipe)
    assert said(capsys, recipe)[-1] == "no run is at work"


def test_only_the_end_of_a_long_log_is_read(recipe, capsys):
    write_log(recipe, *[event(message="x" * 200)] * 500, event(kind="done", message="3 s"))
    assert said(capsys, recipe)[-1].endswith("last event: train done 3 s")


def test_looking_does_not_stop_a_run_from_starting_afterwards(recipe, capsys):
    folder = runs_folder(load_recipe(recipe))
    for _ in range(2):
        with exclusive(folder):
            assert "at work" in said(capsys, recipe)[-1]
        assert said(capsys, recipe)[-1] == "no run is at work"
