"""What `lofi-recipe measure` prints for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from lofi_engine.cli.columns import in_columns, one_line
from lofi_engine.metrics.checks import plural
from lofi_engine.metrics.document import Measured, verdict
from lofi_engine.metrics.extras import how_to_install, is_installed
from lofi_engine.metrics.figures import Difference, Figure, Interval
from lofi_engine.metrics.protocol import Needs
from lofi_engine.metrics.registry import MODEL_OPTIONS, MetricFacts
from lofi_engine.metrics.scoring import Score


def metric_lines(metrics: Sequence[MetricFacts]) -> Iterator[str]:
    """Say of each metric what it tells, what it needs and what it claims to hear."""
    for metric in metrics:
        yield f"{metric.name}\n  {metric.title}"
        yield f"  needs: {', '.join(needs_words(metric.name, metric.needs)) or 'nothing more'}"
        if metric.sees:
            yield f"  ranks: {', '.join(sorted(metric.sees))}"
        yield ""


def needs_words(name: str, needs: Needs) -> Iterator[str]:
    """Say in words what a metric cannot do without."""
    if needs.pairs:
        yield "a second folder with clips of the same names (pairs)"
    elif needs.reference:
        yield "a second folder (the reference)"
    for needed, word in (
        (needs.prompts, "prompts"),
        (needs.styles, "styles"),
        (needs.lyrics, "lyrics"),
        (needs.latents, "latents"),
    ):
        if needed:
            yield word
    if needs.model:
        yield f"{needs.model} (--{MODEL_OPTIONS[name]})"
    if needs.extra:
        installed = " (installed)" if is_installed(needs.extra) else ""
        yield f"{how_to_install(needs.extra)}{installed}"


def result_lines(
    measured: Sequence[Measured], scores: Sequence[Score], left_out: Mapping[str, str]
) -> Iterator[str]:
    """Give the sets, the figures, the differences and what was left out."""
    yield from in_columns([_set_row(one) for one in measured])
    short = short_labels([one.folder.label for one in measured])
    figures = [one for score in scores for one in score.figures]
    differences = [one for score in scores for one in score.differences]
    if figures:
        yield ""
        yield from in_columns(
            [_FIGURE_HEAD, *(_figure_row(one, short) for one in figures)], numbers=(1,)
        )
    if differences:
        yield ""
        yield from in_columns(
            [_DIFFERENCE_HEAD, *(_difference_row(one, short) for one in differences)], (1, 2, 3)
        )
    yield from _notes(scores)
    if left_out:
        yield ""
        yield "left out:"
        yield from in_columns([(f"  {name}", reason) for name, reason in left_out.items()])


_FIGURE_HEAD = ("metric", "value", "interval", "better", "n", "of", "against", "embedding")
_DIFFERENCE_HEAD = (
    *("metric", "judged", "other", "difference", "relative", "interval", "n"),
    *("verdict", "reference", "embedding"),
)


def _set_row(one: Measured) -> tuple[str, ...]:
    converted = ", converted" if one.folder.convert is not None else ""
    return (
        one.role,
        one.folder.label,
        plural(len(one.folder.names), "clip"),
        f"{one.duration_sec:.0f} s",
        f"{one.format}{converted}",
        f"hash {one.folder.content_hash()}",
    )


def _figure_row(figure: Figure, short: Mapping[str, str]) -> tuple[str, ...]:
    return (
        figure.metric,
        quantity(figure.value, figure.unit),
        interval_words(figure.interval),
        "FAILED" if figure.has_failed else figure.better,
        f"{figure.n} {figure.counted}",
        short.get(figure.judged, figure.judged),
        _reference(figure, short),
        figure.embedding,
    )


def _difference_row(difference: Difference, short: Mapping[str, str]) -> tuple[str, ...]:
    first, second = difference.first, difference.second
    return (
        difference.metric,
        quantity(first.value, first.unit),
        quantity(second.value, second.unit),
        f"{difference.value:+.4g}",
        "" if difference.relative is None else f"{difference.relative:+.1%}",
        interval_words(difference.interval),
        f"{difference.n} pairs",
        _verdict(difference),
        _reference(first, short),
        first.embedding,
    )


def _reference(figure: Figure, short: Mapping[str, str]) -> str:
    if not figure.against:
        return ""
    return f"{short.get(figure.against, figure.against)} ({figure.reference_hash})"


def short_labels(labels: Sequence[str]) -> dict[str, str]:
    """Give of each path the fewest last parts that no other one ends with.

    The table names its sets in every row; the lines above it have the whole paths.
    """
    deepest = max((len(PurePath(label).parts) for label in labels), default=0)
    for count in range(1, deepest + 1):
        ends = {label: str(PurePath(*PurePath(label).parts[-count:])) for label in labels}
        if len(set(ends.values())) == len(set(labels)):
            return ends
    return {label: label for label in labels}


def _verdict(difference: Difference) -> str:
    failed = {"judged": difference.first.has_failed, "other": difference.second.has_failed}
    words = (f"{name} FAILED" for name, has_failed in failed.items() if has_failed)
    return ", ".join((verdict(difference), *words))


def quantity(value: float, unit: str) -> str:
    """Write a value with its unit, four figures of it."""
    return f"{value:.4g} {unit}".rstrip()


def interval_words(interval: Interval | None) -> str:
    """Write an interval as its two ends."""
    return "none" if interval is None else f"{interval.low:.4g} to {interval.high:.4g}"


def _notes(scores: Sequence[Score]) -> Iterator[str]:
    """Say what is behind a figure: why it has no interval, what a metric says in words."""
    lines = []
    for score in scores:
        compared = [one for pair in score.differences for one in (pair.first, pair.second)]
        for figure in (*score.figures, *compared):
            for key in ("no_interval", "text"):
                if figure.details.get(key):
                    lines.append(f"{figure.metric} of {figure.judged}: {figure.details[key]}")
        if score.note:
            lines.append(f"{score.metric}: {score.note}")
    if lines:
        yield ""
    for line in dict.fromkeys(lines):
        yield one_line(line)
