from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import EarlyStop, Ssl
from lofi_engine.training import worker
from lofi_engine.training.adapters import load_adapter_weights
from lofi_engine.training.board import BOARD
from lofi_engine.training.checkpoints import all_checkpoints, newest_checkpoint
from lofi_engine.training.encoded import write_index
from lofi_engine.training.job import job_from, train
from lofi_engine.training.launch import ERROR, JOB, launch
from lofi_engine.training.processes import Processes
from tests.support.tiny_training import LORA, one_thread, tiny_job, write_encoded

WORKER = "lofi_engine.training.worker"


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def make_job(folder, splits=("train", "train", "train", "validation"), **changes):
    encoded = folder / "encoded"
    if not encoded.exists():
        write_encoded(encoded, splits, lyrics=5)
    asked = {"steps": 4, "checkpoint_every": 4, "sample_every": 99, **changes}
    return tiny_job(encoded, folder / "progress", home=Path(), **asked)


def here(job):
    said = []
    history = train(job, Processes(), lambda *event: said.append(event), said.append)
    return history, said


def test_a_job_told_as_json_is_the_same_job(tmp_path):
    job = make_job(
        tmp_path, ssl=Ssl("a", "hf:b/c", 0.5), early_stop=EarlyStop(3, 0.01), optimizer="adamw-8bit"
    )
    again = job_from(json.loads(json.dumps(job.as_json())))
    assert again == replace(job, home=Path.cwd())


def test_held_out_loss_is_measured_at_checkpoints_and_does_not_disturb_training(tmp_path):
    history, said = here(make_job(tmp_path))
    assert list(history.held_out) == [4]
    assert [event[:2] for event in said] == [(step, 4) for step in (1, 2, 3, 4)]
    other = make_job(tmp_path / "without", ("train", "train", "train"))
    assert here(other)[0].losses == history.losses


def test_two_processes_train_as_one_with_twice_the_accumulation(tmp_path):
    alone = make_job(tmp_path, accumulate=2)
    history, _ = here(alone)
    wanted = newest_checkpoint(alone.progress).adapter

    both = replace(
        alone,
        progress=tmp_path / "both",
        training=replace(alone.training, accumulate=1, processes=2),
    )
    said = []
    launch(
        "tests.support.joined_worker",
        {"do": "train", "processes": 2, "place": str(tmp_path), "job": both.as_json()},
        tmp_path / "told",
        processes=2,
        threads=1,
        answer=said.append,
    )
    assert said[0]["losses"] == pytest.approx(history.losses, rel=1e-5)
    assert said[0]["windows"] == 2
    ranks = [load_adapter_weights(tmp_path / f"rank-{rank}") for rank in (0, 1)]
    for name, tensor in wanted.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        assert torch.allclose(ranks[0][name], tensor, atol=2e-5), name
    assert [place.name for place in all_checkpoints(both.progress)] == ["step-0000004"]


def test_the_stage_s_own_worker_answers_with_its_steps_and_stops_with_a_checkpoint(tmp_path):
    job = make_job(tmp_path, processes=2, steps=400, checkpoint_every=2)
    said = []

    def answer(event):
        said.append(event)
        if event.get("done") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(WORKER, job.as_json(), job.progress, processes=2, threads=1, answer=answer)
    assert [event["done"] for event in said] == [1, 2, 3]
    assert said[0]["total"] == 400
    kept = newest_checkpoint(job.progress)
    assert kept.step >= 3
    assert len(kept.history.losses) == kept.step
    board = [path.name.split(".") for path in (job.progress / BOARD).rglob("events.*")]
    assert len(board) == 2  # steps and checkpoints
    assert len({parts[-2] for parts in board}) == 1  # written by one process


def told(job):
    job.progress.mkdir()
    path = job.progress / JOB
    path.write_text(json.dumps(job.as_json()))
    return path


def test_what_a_worker_refuses_is_left_in_its_words_for_the_stage(tmp_path):
    path = told(replace(make_job(tmp_path), lora=replace(LORA, targets=("to_z",))))
    assert worker.main(path) == StageError.exit_code
    left = json.loads((path.parent / ERROR).read_text())
    assert left["message"].startswith("lora.targets: 'to_z' names no module of this base")
    assert left["hint"].startswith("modules that take adapters: ")


def test_a_worker_told_to_stop_leaves_a_checkpoint_and_says_130(tmp_path, monkeypatch, capsys):
    job = make_job(tmp_path, steps=50, checkpoint_every=50)
    answer_line = worker.answer_line

    def stop(said):
        answer_line(said)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(worker, "answer_line", stop)
    assert worker.main(told(job)) == 130
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["done"] == 1
    assert newest_checkpoint(job.progress).step == 1


def test_an_encoded_set_of_another_base_is_refused(tmp_path):
    job = make_job(tmp_path)
    tracks = write_encoded(job.encoded, ("train",), lyrics=2)
    write_index(job.encoded, tracks, base="hf:other/base@123")
    with pytest.raises(StageError) as caught:
        here(job)
    assert str(caught.value) == (
        f"{job.encoded}: the tracks were encoded by hf:other/base@123, the base is builtin:tiny@1 "
        "- run again with --from encode"
    )


def test_stopping_early_without_held_out_tracks_is_refused(tmp_path):
    job = make_job(tmp_path, ("train", "train"), early_stop=EarlyStop(2, 0.0))
    with pytest.raises(StageError, match="early_stop needs held-out tracks and there are none"):
        here(job)
