"""Figures of metrics that give every clip, or every pair of clips, a value: the mean of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import (
    ENDLESS,
    FEWEST_DRAWN,
    difference_interval,
    graded_interval,
    mean_interval,
)
from lofi_engine.metrics.checks import listed
from lofi_engine.metrics.figures import Difference, Figure


def measure_each(
    metric_name: str,
    values: Mapping[str, float],
    *,
    better: str,
    unit: str = "",
    counted: str = "clips",
    judged: str = "",
    against: str = "",
    reference_hash: str = "",
    embedding: str = "",
    details: Mapping[str, Any] | None = None,
    span: tuple[float, float] = ENDLESS,
    graded: bool = False,
    seed: int = 0,
) -> Figure:
    """Sum up the clips' values: their mean and its bootstrap interval.

    Args:
        metric_name: such as "mel".
        values: by clip.
        better: LOWER, HIGHER or "".
        unit: of the values.
        counted: "clips" or "pairs".
        judged: the set's label.
        against: the reference set's label.
        reference_hash: its content hash.
        embedding: what embedded them.
        details: more to be known.
        span: the least and the most that a clip's value can be.
        graded: whether values are marks, of which many may be equal (`graded_interval`).
        seed: of the draws.

    Raises:
        MetricError: one clip alone, or a value is not finite.
    """
    _check_values(metric_name, values, judged)
    names = sorted(values)
    found = [float(values[name]) for name in names]
    return Figure(
        metric=metric_name,
        value=math.fsum(found) / len(found),
        interval=(
            graded_interval(found, span, seed) if graded else mean_interval(found, seed, span=span)
        ),
        n=len(found),
        counted=counted,
        better=better,
        unit=unit,
        judged=judged,
        against=against,
        reference_hash=reference_hash,
        embedding=embedding,
        each=dict(zip(names, found, strict=True)),
        details=details or {},
    )


def compare_each(
    first: Figure,
    second: Figure,
    *,
    graded_span: tuple[float, float] | None = None,
    seed: int = 0,
) -> Difference:
    """Compare two figures of `measure_each` clip by clip, by paired bootstrap.

    Args:
        first: of the set that is judged.
        second: of the set it is compared with; the same clips in it.
        graded_span: the least and the most that a clip can get, where values are marks.
        seed: of the draws.

    Raises:
        MetricError: the figures are of different metrics or clips.
    """
    if first.metric != second.metric:
        raise MetricError(
            f"{first.metric} cannot be compared with {second.metric}",
            hint="compare figures of one metric",
        )
    unpaired = sorted(set(first.each) ^ set(second.each))
    if unpaired:
        raise MetricError(
            f"{first.metric}: clips without a pair: {listed(unpaired)}",
            hint="measure both sets on clips of the same names",
        )
    names = sorted(first.each)
    pairs = [first.each[name] for name in names], [second.each[name] for name in names]
    if graded_span is None:
        interval = difference_interval(*pairs, seed=seed)
    else:
        reach = graded_span[1] - graded_span[0]
        apart = [one - other for one, other in zip(*pairs, strict=True)]
        interval = graded_interval(apart, (-reach, reach), seed)
    return Difference.of(first, second, interval, len(names))


def _check_values(metric_name: str, values: Mapping[str, float], judged: str) -> None:
    where = f"{metric_name}: {judged}" if judged else metric_name
    wrong = sorted(name for name, value in values.items() if not math.isfinite(value))
    if wrong:
        raise MetricError(f"{where}: NaN or infinity for {listed(wrong)}", hint="leave them out")
    if len(values) < FEWEST_DRAWN:
        found = f"only one clip ({listed(values)})" if values else "no clip"
        raise MetricError(
            f"{where}: {found} has a value, at least {FEWEST_DRAWN} are needed",
            hint="add clips: one alone says nothing about others of its kind",
        )
