from __future__ import annotations

import os

import pytest

from lofi_engine.errors import StageError
from lofi_engine.training.launch import LOG, launch
from lofi_engine.training.processes import Processes, join_processes

WORKER = "tests.support.joined_worker"


def run(folder, do, processes=2):
    said = []
    job = {"do": do, "processes": processes}
    launch(WORKER, job, folder, processes=processes, threads=1, answer=said.append)
    return said


def test_two_processes_reduce_what_each_has(tmp_path):
    (said,) = run(tmp_path, "reduce")
    assert said == {
        "count": 2,
        "mean": 5.0,
        "any": [True, False],
        "gradient": [0.5, 0.5, 0.5],
        "none": True,
        "gathered": [{"rank": 0}, {"rank": 1}],
        "threads": 1,
    }


def test_one_process_alone_starts_nothing_and_changes_nothing():
    alone = join_processes(1)
    assert alone == Processes(1, 0, None)
    assert (alone.is_first, alone.mean(3.0), alone.any(True), alone.gather(4)) == (
        True,
        3.0,
        True,
        [4],
    )
    alone.average_gradients([])
    alone.wait()
    alone.leave()


def test_another_number_than_the_recipe_asks_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(StageError) as refused:
        join_processes(4)
    assert str(refused.value) == (
        "training.processes is 4, and 1 process started - start it without torchrun: "
        "lofi-recipe run RECIPE starts 4 by itself"
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(StageError, match="is 1, and 2 processes started - start it without"):
        join_processes(1)
    with pytest.raises(StageError, match="torchrun started 2 of this command, which starts 3 "):
        run(tmp_path, "reduce", processes=3)
    with pytest.raises(StageError, match=r"training\.processes is 3, and 2 processes started"):
        join_processes(3)


def test_what_a_process_refuses_comes_back_in_its_own_words(tmp_path):
    with pytest.raises(StageError) as refused:
        run(tmp_path, "refuse")
    assert str(refused.value) == "training: refused by 2 - do otherwise"


def test_a_process_that_dies_ends_all_and_is_named_with_its_log(tmp_path):
    with pytest.raises(StageError) as refused:
        run(tmp_path, "die")
    assert str(refused.value) == (
        f"training: one of its processes died (MemoryError: no room left) - see {tmp_path / LOG}"
    )


def test_stopped_by_the_user_every_process_ends_in_its_own_time(tmp_path):
    seen = []

    def stop(said):
        seen.append(said["waiting"])
        raise KeyboardInterrupt

    job = {"do": "wait", "processes": 2, "place": str(tmp_path)}
    with pytest.raises(KeyboardInterrupt):
        launch(WORKER, job, tmp_path, processes=2, threads=1, answer=stop)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)
    # The second process had started too by then, or was told before it could.
    assert (tmp_path / "ended-0").read_text() == "with a checkpoint"
