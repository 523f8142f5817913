from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lofi_engine.training import progress_line
from lofi_engine.training.progress_line import (
    ProgressLine,
    SmoothedLoss,
    held_memory,
    resident_bytes,
)
from lofi_engine.training.report import StepReport, Window

SAID = StepReport(1, 1.5, 1.5, {}, 1e-4, 0.41234, (Window(0.5, "CORE-01", 1.5),))


def said(step, windows=1, **changes):
    return replace(SAID, step=step, windows=SAID.windows * windows, **changes)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = [100.0]
    monkeypatch.setattr(progress_line.time, "monotonic", lambda: now[0])
    return now


def make_line(steps, memory_bytes=512_000_000):
    return ProgressLine(steps, lambda: memory_bytes)


def test_the_first_steps_are_not_timed(clock):
    line = make_line(100)
    for step in (1, 2, 3):
        clock[0] += 50
        assert line.write(said(step), 1.25) == (
            "loss 1.5000 (smoothed 1.2500), lr 1.00e-04, grad 0.412, memory 512 MB"
        )


def test_speed_and_time_left_count_from_the_warm_steps_and_every_process_s_tracks(clock):
    line = make_line(103)
    for step in range(1, 4):
        clock[0] += 60
        line.write(said(step, windows=4), 1.0)
    clock[0] += 2.0
    assert line.write(said(4, windows=4), 1.0).endswith("2 tracks/s, memory 512 MB, 3:18 left")
    clock[0] += 4.0
    assert line.write(said(5, windows=4), 1.0).endswith("1.33 tracks/s, memory 512 MB, 4:54 left")


def test_speed_is_that_of_the_last_hundred_steps(clock):
    line = make_line(1000)
    for step in range(1, 301):
        clock[0] += 10.0 if step < 150 else 1.0
        text = line.write(said(step), 1.0)
    assert text.endswith("1 tracks/s, memory 512 MB, 11:40 left")


def test_time_that_went_into_samples_is_no_step_s(clock):
    line = make_line(104)
    for step in range(1, 4):
        line.write(said(step), 1.0)
    clock[0] += 301.0
    line.leave_out(300.0)
    assert line.write(said(4), 1.0).endswith("1 tracks/s, memory 512 MB, 1:40 left")


def test_long_trainings_count_in_hours(clock):
    line = make_line(3604)
    for step in range(1, 4):
        line.write(said(step), 1.0)
    clock[0] += 2.0
    assert line.write(said(4), 1.0).endswith("0.5 tracks/s, memory 512 MB, 2:00:00 left")


def test_a_resumed_training_times_its_own_steps(clock):
    line = make_line(1010)
    for step in range(1001, 1004):
        line.write(said(step), 1.0)
    clock[0] += 1.0
    assert line.write(said(1004), 1.0).endswith("1 tracks/s, memory 512 MB, 0:06 left")


def test_a_step_that_takes_no_time_is_no_error(clock):
    line = make_line(5)
    texts = [line.write(said(step), 1.0) for step in range(1, 6)]
    assert texts[-1].endswith("0:00 left")


def test_a_gradient_that_overflowed_is_said(clock):
    assert "grad inf," in make_line(5).write(said(1, gradient_norm=float("inf")), 1.0)


def test_the_line_is_short_at_its_longest(clock):
    line = make_line(2_000_000, memory_bytes=123_456_000_000)
    for step in range(1, 5):
        clock[0] += 0.8
        text = line.write(said(step, windows=99, loss=1234.5678, gradient_norm=1.23456e-5), 1234.5)
    assert text == (
        "loss 1234.5678 (smoothed 1234.5000), lr 1.00e-04, grad 1.23e-05, 124 tracks/s, "
        "memory 123.46 GB, 444:26:36 left"
    )
    assert len(text) <= 115


def test_the_smoothed_loss_follows_slowly_from_the_first():
    smoothed = SmoothedLoss()
    assert [smoothed.take(loss) for loss in (2.0, 1.0, 1.0)] == pytest.approx([2.0, 1.95, 1.9025])


def test_a_resumed_training_s_smoothed_loss_goes_on_where_it_was():
    losses = [3.0, 1.0, 2.0, 0.5]
    whole = SmoothedLoss()
    wanted = [whole.take(loss) for loss in losses]
    assert SmoothedLoss(losses[:3]).take(losses[3]) == wanted[3]


def test_memory_is_what_the_process_holds_now():
    before = resident_bytes()
    held = torch.ones(16_000_000)  # 64 MB
    assert held_memory(torch.device("cpu"))() - before == pytest.approx(64e6, rel=0.1)
    del held


def test_where_the_system_does_not_say_memory_is_zero(monkeypatch, tmp_path):
    monkeypatch.setattr(progress_line, "_STATM", tmp_path / "none")
    assert resident_bytes() == 0
