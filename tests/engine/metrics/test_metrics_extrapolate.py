from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.extrapolate import Subsets, to_infinity, why_not
from lofi_engine.metrics.frechet import frechet_between
from lofi_engine.metrics.moments import ClipMoments
from tests.support.metric_clips import gaussian_clips, vector_set

DIMENSIONS = 16


def moments(seed, clips=20, windows=12, dimensions=DIMENSIONS, label="A", **options):
    drawn = gaussian_clips(seed, clips, windows, dimensions, **options)
    return ClipMoments(vector_set(drawn, label))


def plain_and_extrapolated(times=12, **options):
    """Give both distances for pairs of sets drawn anew; the reference is standard normal."""
    found = []
    for at in range(times):
        alike = options.get("alike", 0.0)
        judged, reference = moments((at, 1), **options), moments((at, 2), alike=alike)
        plain = frechet_between(judged.gaussian(), reference.gaussian())
        found.append((plain, to_infinity(judged, reference).intercept))
    return np.mean(found, axis=0)


def test_sets_of_one_distribution_are_at_no_distance_at_infinity():
    plain, infinite = plain_and_extrapolated()
    assert plain > 0.6
    assert abs(infinite) < 0.07


def test_a_known_distance_is_found_without_what_finite_sets_add():
    true = DIMENSIONS * (0.2**2 + (1.2 - 1) ** 2)
    plain, infinite = plain_and_extrapolated(shift=0.2, scale=1.2)
    assert plain > true + 0.6
    assert infinite == pytest.approx(true, abs=0.2)


def test_what_clips_have_in_common_is_extrapolated_too():
    plain, infinite = plain_and_extrapolated(alike=0.3)
    assert plain > 1.5
    assert abs(infinite) < 0.25 * plain


def test_more_clips_bring_the_plain_distance_down_to_the_extrapolated_one():
    plain = {}
    for clips in (20, 80, 320):
        judged, reference = (moments((3, at), clips=clips, shift=0.2 * at) for at in (0, 1))
        plain[clips] = frechet_between(judged.gaussian(), reference.gaussian())
        last = to_infinity(judged, reference).value
    true = DIMENSIONS * 0.2**2
    assert plain[20] > plain[80] > plain[320] > true
    assert abs(last - true) < 0.3 * (plain[20] - true)


def test_the_line_and_its_points_are_told():
    judged, reference = moments(1, shift=0.3), moments(2, clips=30)
    found = to_infinity(judged, reference)
    assert [round(windows) for windows, _ in found.points] == pytest.approx(
        [240, 180, 160, 120], abs=3
    )
    values = [value for _, value in found.points]
    assert values == sorted(values)
    plain = frechet_between(judged.gaussian(), reference.gaussian())
    assert values[0] == pytest.approx(plain, rel=1e-6)
    assert found.r_squared > 0.98
    assert found.slope > 0
    assert found.value == found.intercept < plain
    on_the_line = found.intercept + found.slope / found.points[0][0]
    assert on_the_line == pytest.approx(plain, rel=0.02)


def test_details_are_plain_values():
    details = to_infinity(moments(1), moments(2)).as_details()
    assert set(details) == {"intercept", "slope", "r_squared", "points"}
    assert [set(point) for point in details["points"]] == [{"windows", "fad"}] * 4


def test_a_line_below_zero_gives_zero_and_tells_its_intercept():
    lines = [to_infinity(moments((at, 1)), moments((at, 2))) for at in range(12)]
    below = [line for line in lines if line.intercept < 0]
    assert below
    assert all(line.value == 0.0 for line in below)


def test_a_set_against_itself_is_at_zero():
    same = moments(1)
    found = to_infinity(same, same)
    assert 0 <= found.value < 1e-6 * DIMENSIONS or found.intercept < 0


def test_the_same_seed_gives_the_same_line():
    judged, reference = moments(1), moments(2)
    assert to_infinity(judged, reference, seed=3) == to_infinity(judged, reference, seed=3)
    assert to_infinity(judged, reference, seed=3) != to_infinity(judged, reference, seed=4)


def test_clips_drawn_again_stand_in_for_those_of_the_set():
    judged, reference = moments(1), moments(2)
    subsets = Subsets(judged.clips, reference)
    assert subsets.line(judged, np.arange(20)) == subsets.line(judged)
    drawn = np.random.default_rng(1).integers(20, size=20)
    assert subsets.line(judged, drawn).points[0][1] > subsets.line(judged).points[0][1]


@pytest.mark.parametrize(
    ("clips", "windows", "reason"),
    [
        (3, 40, "takes: 3 clips, at least 4 are needed"),
        (4, 7, "takes: 28 windows for 16 dimensions, at least 32 are needed"),
    ],
)
def test_sets_that_cannot_be_halved_are_refused(clips, windows, reason):
    small, large = moments(1, clips, windows, label="takes"), moments(2)
    assert why_not(small, large) == why_not(large, small) == reason
    with pytest.raises(MetricError) as caught:
        to_infinity(large, small)
    assert str(caught.value) == (
        f"{reason} to extrapolate to infinitely many - use more or longer clips"
    )
    assert why_not(large, large) == ""
