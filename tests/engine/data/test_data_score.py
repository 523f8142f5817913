from __future__ import annotations

from typing import Any

import pytest

from lofi_engine.data.score import POINTS, quality_score

GOOD: dict[str, Any] = {
    **{"clipped": 0.0, "true_peak_dbfs": -0.5, "silent": 0.0, "dc_offset": 0.0},
    **{"rms_dbfs": -16.0, "noise_floor_dbfs": -60.0, "crest_db": 13.0, "bandwidth_hz": 20_000},
}


def lost(**changes: Any) -> dict[str, float]:
    score, parts = quality_score({**GOOD, **changes})
    assert score == pytest.approx(100 - sum(parts.values()))
    return {name: points for name, points in parts.items() if points}


def test_a_clean_lossless_track_scores_100_and_every_part_is_shown():
    score, parts = quality_score(GOOD)
    assert score == 100.0
    assert parts == dict.fromkeys(POINTS, 0.0)
    assert sum(POINTS.values()) == 100.0


@pytest.mark.parametrize(
    ("changes", "part", "points"),
    [
        ({"clipped": 0.0005}, "clipping", 12.5),
        ({"clipped": 0.3}, "clipping", 25.0),
        ({"true_peak_dbfs": 1.5}, "overs", 5.0),
        ({"silent": 0.1}, "silence", 3.0),
        ({"noise_floor_dbfs": -37.0}, "noise", 7.5),
        ({"crest_db": 7.0}, "dynamics", 5.0),
        ({"bandwidth_hz": 11_000}, "bandwidth", 5.0),
        ({"bitrate_kbps": 208}, "bitrate", 5.0),
        ({"dc_offset": -0.0255}, "offset", 2.5),
    ],
)
def test_each_fault_costs_its_own_points(changes, part, points):
    assert lost(**changes) == {part: points}


def test_the_worst_track_scores_0_and_no_less():
    worst = {"clipped": 1.0, "true_peak_dbfs": 9.0, "silent": 1.0, "dc_offset": 1.0}
    worst |= {"noise_floor_dbfs": -10.0, "crest_db": 0.0, "bandwidth_hz": 100, "bitrate_kbps": 8}
    assert lost(**worst) == dict(POINTS)
    assert quality_score({**GOOD, **worst})[0] == 0.0
