from __future__ import annotations

import pytest

from lofi_engine.training import progress_line
from lofi_engine.training.progress_line import ProgressLine


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = [100.0]
    monkeypatch.setattr(progress_line.time, "monotonic", lambda: now[0])
    return now


def test_the_first_steps_are_not_timed(clock):
    line = ProgressLine(steps=100, batch_size=2)
    for step in (1, 2, 3):
        clock[0] += 50
        assert line.write(step, 1.5) == "loss 1.5000 (smoothed 1.5000)"


def test_rate_and_time_left_count_from_the_warm_steps(clock):
    line = ProgressLine(steps=103, batch_size=4)
    for step in range(1, 4):
        clock[0] += 60
        line.write(step, 1.0)
    clock[0] += 2.0
    assert line.write(4, 1.0).endswith(", 2.0 tracks/s, 3:18 left")
    clock[0] += 4.0
    assert line.write(5, 1.0).endswith(", 1.3 tracks/s, 4:54 left")


def test_long_trainings_count_in_hours(clock):
    line = ProgressLine(steps=3604, batch_size=1)
    for step in range(1, 4):
        line.write(step, 1.0)
    clock[0] += 2.0
    assert line.write(4, 1.0).endswith("0.5 tracks/s, 2:00:00 left")


def test_a_resumed_training_times_its_own_steps(clock):
    line = ProgressLine(steps=1010, batch_size=1)
    for step in range(1001, 1004):
        line.write(step, 1.0)
    clock[0] += 1.0
    assert line.write(1004, 1.0).endswith("1.0 tracks/s, 0:06 left")


def test_a_step_that_takes_no_time_is_no_error(clock):
    line = ProgressLine(steps=5, batch_size=1)
    said = [line.write(step, 1.0) for step in range(1, 6)]
    assert said[-1].endswith("0:00 left")


def test_the_smoothed_loss_follows_slowly_from_the_first(clock):
    line = ProgressLine(steps=10, batch_size=1)
    assert "(smoothed 2.0000)" in line.write(1, 2.0)
    assert "loss 1.0000 (smoothed 1.9500)" in line.write(2, 1.0)
    assert "(smoothed 1.9025)" in line.write(3, 1.0)
