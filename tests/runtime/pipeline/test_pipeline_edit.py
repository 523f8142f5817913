"""What may be asked of a source, and what is refused."""

from __future__ import annotations

import pytest

from lofi_runtime.pipeline.edit import (
    MAX_FRAMES,
    AudioToAudio,
    Extend,
    Repaint,
    Retake,
    fit_edit,
    frame_of,
    new_frames,
)


@pytest.mark.parametrize(
    ("seconds", "frame"), [(0, 0), (0.0929, 1), (0.0928, 0), (4, 43), (-0.84, -9), (240, 2583)]
)
def test_seconds_become_frames_towards_zero(seconds, frame):
    assert frame_of(seconds) == frame


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_position_that_is_no_number_is_refused(seconds):
    with pytest.raises(ValueError, match=f"a position of {seconds} seconds is no position"):
        frame_of(seconds)


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    for make in (Retake, lambda value: Repaint(0, 1, value)):
        with pytest.raises(ValueError, match=rf"variance is {share}, must be from 0 to 1"):
            make(share)
    with pytest.raises(ValueError, match=rf"strength is {share}, must be from 0 to 1"):
        AudioToAudio(share)


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="the range 5 to 5 is empty: end_frame must be above"):
        Repaint(5, 5)
    with pytest.raises(ValueError, match="the range 5 to 3 is empty"):
        Repaint(5, 3)
    with pytest.raises(ValueError, match="left_frames and right_frames are both 0"):
        Extend()


def test_a_range_outside_the_source_is_refused():
    with pytest.raises(ValueError, match="start_frame is -1, must be at least 0"):
        Repaint(-1, 3)
    with pytest.raises(ValueError, match="right_frames is -2, must be at least 0"):
        Extend(right_frames=-2)
    with pytest.raises(ValueError, match="the range 3 to 44 goes beyond the source's 43 frames"):
        fit_edit(Repaint(3, 44), 43)
    with pytest.raises(ValueError, match="the range 50 to 60 goes beyond the source's 43 frames"):
        fit_edit(Repaint(50, 60), 43)


def test_a_repaint_of_the_whole_source_is_a_retake():
    assert fit_edit(Repaint(0, 43, 0.3), 43) == Retake(0.3)
    assert fit_edit(Repaint(0, 42, 0.3), 43) == Repaint(0, 42, 0.3)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Extend(left_frames=3), (0, 3, 43)),
        (Extend(right_frames=4), (40, 44, 44)),
        (Extend(3, 4), (0, 47, 47)),
        (Repaint(7, 9), (7, 9, 40)),
    ],
)
def test_new_frames_are_counted_in_the_result(edit, expected):
    assert new_frames(edit, 40) == expected


@pytest.mark.parametrize("edit", [Retake(), AudioToAudio(), Repaint(0, MAX_FRAMES + 1)])
def test_a_source_above_the_limit_is_refused_where_all_of_it_is_made_anew(edit):
    with pytest.raises(ValueError, match="the source has 2585 frames, the model takes 2584 at"):
        fit_edit(edit, MAX_FRAMES + 1)


def test_a_long_source_can_be_extended_on_one_side_and_repainted_in_part():
    for edit in (Extend(left_frames=400), Extend(right_frames=2583), Repaint(10, 2584)):
        assert fit_edit(edit, MAX_FRAMES) == edit


def test_an_extension_that_leaves_no_source_in_sight_is_refused_by_its_numbers():
    with pytest.raises(ValueError, match=r"0 to 2597 of 2597 span 2597 frames; of a track above"):
        fit_edit(Extend(10, 3), MAX_FRAMES)
    with pytest.raises(ValueError, match=r"new frames 40 to 2624 of 2624 span 2584 frames"):
        fit_edit(Extend(right_frames=MAX_FRAMES), 40)
