from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from lofi_engine.training.curve import draw_curve

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
