from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from lofi_engine.training.curve import (
    draw_by_noise,
    draw_by_style,
    draw_curve,
    draw_held_out,
    draw_lines,
    draw_losses,
)
from lofi_engine.training.history import History
from lofi_engine.training.report import StepReport, Window

SVG = "{http://www.w3.org/2000/svg}"


def lines(losses):
    """The points of both lines, and every text, of a drawn curve."""
    root = ElementTree.fromstring(draw_curve(losses))
    drawn = [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]
    return drawn, [text.text for text in root.iter(f"{SVG}text")]


def test_values_run_from_the_highest_above_to_the_lowest_below():
    (values, _mean), texts = lines([3.0, 1.0, 2.0])
    assert values == [(40.0, 40.0), (320.0, 200.0), (600.0, 120.0)]
    assert texts == ["denoising loss over 3 steps", "3", "1"]


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201, 1000, 100_000])
def test_any_number_of_steps_is_drawn_inside_the_picture(count):
    drawn, _texts = lines([1.0 + (number % 7) for number in range(count)])
    for line in drawn:
        assert 1 <= len(line) <= 400
        assert all(0 <= x <= 640 and 0 <= y <= 240 for x, y in line)


def test_equal_losses_are_a_flat_line():
    (values, mean), _texts = lines([0.5] * 10)
    assert {y for _x, y in values} == {200.0}
    assert mean == values


def test_the_mean_is_calmer_than_the_values_and_falls_as_they_do():
    losses = [10.0 - number / 50 + number % 7 for number in range(190)]
    (values, mean), _texts = lines(losses)

    def travelled(line):
        return sum(abs(after[1] - before[1]) for before, after in pairwise(line))

    assert travelled(mean) < 0.25 * travelled(values)
    assert mean[-1][1] > mean[6][1]  # down is a higher y


def test_the_mean_is_over_a_twentieth_of_the_steps():
    losses = [0.0] * 40 + [1.0] * 40
    (_values, mean), _texts = lines(losses)
    # Four steps wide: it climbs by a quarter a step.
    heights = [round((200.0 - y) / 160.0, 3) for _x, y in mean]
    assert heights[38:45] == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_same_losses_give_the_same_bytes():
    losses = [1 / (number + 1) for number in range(50)]
    assert draw_curve(losses) == draw_curve(list(losses))


def make_history(windows_of, steps=40, **changes):
    """A history whose step n saw `windows_of(n)`."""
    said = [
        StepReport(step, 1.0, 1.0, {}, 1e-4, 1.0, tuple(windows_of(step)))
        for step in range(1, steps + 1)
    ]
    return History(said, **changes)


def drawn(picture):
    """Each line's points by its name in the legend, and every text."""
    root = ElementTree.fromstring(picture)
    points = [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    return dict(zip(texts[5:], points, strict=True)), texts


def test_each_band_of_noise_is_a_line_over_the_steps_that_saw_it():
    def seen(step):
        yield Window(0.1, "CORE-01", 2.0)
        if step % 2 == 0:
            yield Window(0.95, "CORE-01", 10.0 - step / 10)

    lines, texts = drawn(draw_by_noise(make_history(seen)))
    assert list(lines) == ["0.0-0.2", "0.8-1.0"]
    assert texts[:5] == [
        "denoising loss by noise level, 0 is clean", "9.8", "2", "step 1", "40",
    ]  # fmt: skip
    assert (len(lines["0.0-0.2"]), len(lines["0.8-1.0"])) == (40, 20)
    assert lines["0.0-0.2"][0] == (40.0, 200.0)
    heights = [y for _, y in lines["0.8-1.0"]]
    assert heights == sorted(heights)  # it falls
    assert lines["0.8-1.0"][-1][0] == 600.0


def test_a_line_over_many_steps_is_thinned():
    lines, _ = drawn(draw_by_noise(make_history(lambda _: [Window(0.5, "", 1.0)], steps=5000)))
    assert 100 <= len(lines["0.4-0.6"]) <= 400


def test_styles_are_lines_the_most_seen_first():
    def seen(step):
        yield Window(0.5, "SEASON-01", 1.0)
        if step == 1:
            yield Window(0.5, "", 1.0)
            yield Window(0.5, "<&>", 1.0)

    lines, _ = drawn(draw_by_style(make_history(seen)))
    assert list(lines) == ["SEASON-01", "no style", "<&>"]


def test_more_styles_than_colours_are_drawn_as_one_line_of_others():
    def seen(step):
        yield Window(0.5, f"S-{min(step, 30):02d}", 1.0)

    lines, _ = drawn(draw_by_style(make_history(seen)))
    assert list(lines) == ["S-30", *(f"S-{n:02d}" for n in range(1, 7)), "other styles"]
    assert len(lines["other styles"]) == 23


def test_held_out_losses_are_dots_at_their_checkpoints():
    history = make_history(lambda _: [Window(0.5, "", 1.0)], held_out={20: 0.5, 10: 1.0, 40: 0.75})
    picture = draw_held_out(history)
    lines, _ = drawn(picture)
    assert lines["held-out"] == [(40.0, 40.0), (226.7, 200.0), (600.0, 120.0)]
    assert picture.count("<circle") == 3


def test_what_was_never_measured_has_no_picture():
    history = make_history(lambda _: [Window(0.5, "", 1.0)])
    assert draw_held_out(history) is None
    assert list(draw_losses(history)) == ["loss.svg", "loss-by-noise.svg", "loss-by-style.svg"]
    assert draw_losses(history) == draw_losses(history)


def test_a_line_of_one_point_can_be_seen():
    assert draw_lines("title", {"one": [(3.0, 1.0)]}).count("<circle") == 1
