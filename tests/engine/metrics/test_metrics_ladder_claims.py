"""A short ladder over synthesised lofi: what a metric claims to rank, it ranks.

The whole one, with more clips and every level, is `lofi-recipe ladder`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from lofi_engine.metrics.ladder.climb import climb_ladder
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.ladder.synthesised import synthesise_clips
from lofi_engine.metrics.ladder.table import false_claims
from lofi_engine.metrics.registry import MetricOptions, make_metrics
from tests.support.programs import require

_FEWER_LEVELS = {
    name: replace(one, levels=(one.levels[-3], one.levels[-1]))
    for name, one in DEGRADATIONS.items()
}
_SOUND = frozenset(DEGRADATIONS) - {"tempo"}
_PAGE = Path(__file__).parents[3] / "docs" / "metrics-ladder.md"


def _quiet(_done, _total, _name):
    pass


@cache
def _lofi(styles, duration_sec):
    return synthesise_clips(_quiet, styles=styles, duration_sec=duration_sec)


@pytest.mark.parametrize(
    ("name", "sees", "styles", "duration_sec"),
    [
        # Six clips are too few for a set to tell a tempo: the whole ladder has twenty.
        ("fad", _SOUND, 6, 8.0),
        ("mrstft", _SOUND, 6, 4.0),
        ("mel", _SOUND, 6, 4.0),
        ("visqol", _SOUND - {"quantization"}, 6, 2.0),
    ],
)
def test_a_metric_ranks_what_it_claims_to_see(name, sees, styles, duration_sec):
    if name == "visqol":
        require("visqol")
    (metric,) = make_metrics([name], MetricOptions(project=True))
    assert metric.sees >= sees
    tried = [_FEWER_LEVELS[one] for one in sorted(sees)]
    ladder = climb_ladder([metric], _lofi(styles, duration_sec), _quiet, degradations=tried)
    assert {climb.degradation for climb in ladder.climbs} == sees
    assert list(false_claims(ladder)) == []


@pytest.mark.parametrize("name", ["fad", "mrstft", "mel", "tempo", "key", "visqol"])
def test_the_kept_page_bears_out_what_a_metric_claims_and_marks_no_more(name):
    (metric,) = make_metrics([name], MetricOptions())
    lines = _PAGE.read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("| metric |"))
    header, row = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (
            lines[first],
            next(line for line in lines[first:] if line.startswith(f"| {name} |")),
        )
    )
    claimed = {degradation for degradation, cell in zip(header, row, strict=True) if "*" in cell}
    assert claimed == metric.sees
    assert "!" not in "".join(row)
