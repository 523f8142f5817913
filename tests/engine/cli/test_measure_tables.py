from __future__ import annotations

import pytest

from lofi_engine.cli.measure_tables import short_labels


@pytest.mark.parametrize(
    ("labels", "short"),
    [
        (["A", "B"], ["A", "B"]),
        (["runs/x/samples/step-80", "runs/x/samples/base"], ["step-80", "base"]),
        (["one/clips", "two/clips", "/three/clips"], ["one/clips", "two/clips", "three/clips"]),
        (["clips", "other/clips"], ["clips", "other/clips"]),
        (["a", "./a"], ["a", "./a"]),  # nothing tells them apart: each keeps its own
    ],
)
def test_a_table_names_sets_by_the_end_that_tells_them_apart(labels, short):
    assert list(short_labels(labels).values()) == short
