"""TensorBoard's own reader reads what a training left."""

from __future__ import annotations

import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lofi_engine.training.board import Board, collect_board
from lofi_engine.training.report import StepReport, Window

WINDOWS = (Window(0.1, "CORE-01", 0.5), Window(0.15, "", 1.5), Window(0.9, "CORE-01", 4.0))


def said(step, loss=None):
    loss = loss or 1.0 / step
    return StepReport(step, loss, loss / 2, {"mert": 0.25}, 1e-4, 3.0, WINDOWS)


@pytest.fixture
def passing_time(monkeypatch):
    """Event files are named by the second; a training is not resumed within one."""
    now, real = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + now[0])
    return now


def read(folder):
    """Every tag's (step, value) pairs."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {
        tag: [(one.step, pytest.approx(one.value, rel=1e-6)) for one in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }


def test_every_figure_of_a_step_is_there_by_its_tag(tmp_path):
    board = Board(tmp_path)
    board.write(said(1), 0.75)
    board.close()
    assert read(tmp_path / "steps") == {
        "loss/total": [(1, 1.0)],
        "loss/smoothed": [(1, 0.75)],
        "loss/denoising": [(1, 0.5)],
        "projection/mert": [(1, 0.25)],
        "optimizer/learning_rate": [(1, 1e-4)],
        "optimizer/gradient_norm": [(1, 3.0)],
        "loss_by_noise/0.0-0.2": [(1, 1.0)],
        "loss_by_noise/0.8-1.0": [(1, 4.0)],
        "loss_by_style/CORE-01": [(1, 2.25)],
        "loss_by_style/none": [(1, 1.5)],
    }


def test_a_step_can_be_read_before_the_board_is_closed(tmp_path):
    board = Board(tmp_path)
    for step in (1, 2, 3):
        board.write(said(step), 1.0)
        assert len(read(tmp_path / "steps")["loss/total"]) == step
    board.close()


def test_a_resumed_training_s_steps_are_there_once_with_the_later_values(tmp_path, passing_time):
    killed = Board(tmp_path)
    for step in range(1, 8):
        killed.write(said(step, loss=10.0), 1.0)
    passing_time[0] += 2
    resumed = Board(tmp_path)  # from the checkpoint at step 5; the other was never closed
    for step in range(6, 10):
        resumed.write(said(step, loss=20.0), 1.0)
    resumed.close()
    killed.close()
    assert read(tmp_path / "steps")["loss/total"] == [
        (step, 10.0 if step <= 5 else 20.0) for step in range(1, 10)
    ]


def test_what_is_measured_at_checkpoints_is_written_once_also_after_a_resume(
    tmp_path, passing_time
):
    first = Board(tmp_path)
    first.judge({"held_out_loss": {}, "adapter_effect": {}})
    first.judge({"held_out_loss": {5: 0.5}, "adapter_effect": {5: 0.01}})
    first.judge({"held_out_loss": {5: 0.5}, "adapter_effect": {5: 0.01}})
    first.close()
    passing_time[0] += 2
    again = Board(tmp_path)
    again.judge({"held_out_loss": {5: 0.5, 10: 0.4}, "adapter_effect": {5: 0.01, 10: 0.02}})
    again.close()
    assert read(tmp_path / "checkpoints") == {
        "held_out_loss": [(5, 0.5), (10, 0.4)],
        "adapter_effect": [(5, 0.01), (10, 0.02)],
    }


def test_collected_files_say_neither_machine_nor_time_and_read_the_same(tmp_path, passing_time):
    for start in (1, 4):
        board = Board(tmp_path / "board")
        for step in range(start, start + 5):
            board.write(said(step), 1.0)
        board.judge({"held_out_loss": {start: 1.0}})
        board.close()
        passing_time[0] += 2
    copies = collect_board(tmp_path / "board", tmp_path / "work" / "tensorboard")
    assert [copy.relative_to(tmp_path / "work").as_posix() for copy in copies] == [
        "tensorboard/steps/events.out.tfevents.0000",
        "tensorboard/steps/events.out.tfevents.0001",
        "tensorboard/checkpoints/events.out.tfevents.0000",
    ]
    losses = read(tmp_path / "work" / "tensorboard" / "steps")["loss/total"]
    assert [step for step, _ in losses] == list(range(1, 9))


def test_a_training_without_a_board_has_nothing_to_collect(tmp_path):
    assert collect_board(tmp_path / "none", tmp_path / "work") == []
    assert not (tmp_path / "work").exists()


def test_a_place_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "board").write_text("a file")
    board = Board(tmp_path / "board")
    with pytest.raises(OSError, match="board"):
        board.write(said(1), 1.0)
    board.close()
