"""`lofi-recipe measure`: folders of audio against each other, as a table, JSON and a page."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lofi_engine.cli import measure_tables as tables
from lofi_engine.cli.columns import one_line
from lofi_engine.cli.terminal import LiveLines, PlainLines
from lofi_engine.errors import MetricError
from lofi_engine.events import Event, EventSink
from lofi_engine.metrics import choice, registry
from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.convert import least_format
from lofi_engine.metrics.document import Measured, as_document
from lofi_engine.metrics.folder import ClipFolder, Extent, UnreadableClipsError
from lofi_engine.metrics.protocol import Metric, Report
from lofi_engine.metrics.registry import METRIC_NAMES, MetricOptions, make_metrics, metric_facts
from lofi_engine.metrics.remembered import RememberedEmbedding
from lofi_engine.metrics.scoring import PAIRS_IF_ANY, Score, Sets, score
from lofi_engine.metrics.shelf import Shelf

ROLES = ("judged", "against", "reference")


@dataclass(frozen=True)
class Wanted:
    """What is measured, and how it is shown.

    Args:
        folders: the judged one, what it is held against, the reference; the last two may be None.
        metrics: their names; none takes all that can run with what is given.
        options: what metrics are made with.
        convert: bring all sets to the least format among them.
        as_json: print JSON in place of the table.
        page: the folder of a page; None writes none.
        page_clips: how many clips the page shows.
    """

    folders: tuple[Path | None, ...]
    metrics: tuple[str, ...] = ()
    options: MetricOptions = field(default_factory=MetricOptions)
    convert: bool = False
    as_json: bool = False
    page: Path | None = None
    page_clips: int = 12


def run_list() -> int:
    """Print every metric: what it says and what it needs."""
    sys.stdout.write("\n".join(tables.metric_lines([metric_facts(one) for one in METRIC_NAMES])))
    return 0


def run_measure(wanted: Wanted) -> int:
    """Measure, print the table or JSON, and write the page where one is asked for.

    Returns:
        0; 1 where a metric refused, none could run, or a figure is below its metric's own bound.

    Raises:
        MetricError: no such metric or folder, files that cannot be decoded, several formats
            without `convert`, or a page that would replace somebody else's.
    """
    names = list(dict.fromkeys(map(registry.check_name, wanted.metrics)))
    folders = _folders(wanted)
    if wanted.page is not None:
        from lofi_engine.metrics.page.writing import check_place

        check_place(wanted.page, [folder.path for folder in folders])
    with _sink() as sink:
        measured, converted = _read(folders, wanted.convert, sink)
        shelf = Shelf()
        embedding = RememberedEmbedding(lambda: shelf.embedding(wanted.options.embedding))
        left_out = {} if names else _left_out(measured, wanted.options, embedding)
        chosen = names or [name for name in METRIC_NAMES if name not in left_out]
        sets = Sets(*(one.folder for one in measured))

        def make(name: str) -> Metric:
            given = embedding if name in registry.EMBEDDED else None
            return make_metrics([name], wanted.options, given, shelf)[0]

        scores = [_score(name, partial(make, name), sets, sink) for name in chosen]
    document = as_document(
        measured, scores, left_out, seed=wanted.options.seed, converted=converted
    )
    _print(document, measured, scores, left_out, as_json=wanted.as_json)
    sys.stdout.flush()
    if wanted.page is not None:  # last: figures that took long are not lost with it
        from lofi_engine.metrics.page.writing import write_report

        with _sink() as sink:
            page = write_report(
                wanted.page, document, measured, embedding, wanted.page_clips,
                _reporter("page", sink),
            )  # fmt: skip
        (sys.stderr if wanted.as_json else sys.stdout).write(f"{one_line(str(page))}\n")
    return _finish(scores)


def _folders(wanted: Wanted) -> list[ClipFolder]:
    paths = [path for path in wanted.folders if path is not None]
    folders = [ClipFolder(path) for path in paths]
    for at, one in enumerate(paths):
        for other in paths[at + 1 :]:
            here, there = one.resolve(), other.resolve()
            if here == there:
                raise MetricError(
                    f"{one} and {other} are the same folder",
                    hint="a set held against itself says nothing: name another",
                )
            if here in there.parents or there in here.parents:
                inner, outer = (one, other) if there in here.parents else (other, one)
                raise MetricError(
                    f"{inner} lies inside {outer}",
                    hint="the same clips would be in both sets: move it out",
                )
    return folders


def _read(
    folders: Sequence[ClipFolder], convert: bool, sink: EventSink
) -> tuple[list[Measured], bool]:
    """Decode everything once; bring it to one format where that is wanted and needed."""
    extents = _survey(folders, sink)
    formats = {one.format for surveyed in extents for one in surveyed.values()}
    converted = len(formats) > 1
    if converted:
        least = least_format(formats)
        if not convert:
            raise _differ(folders, extents, least)
        folders = [ClipFolder(folder.path, least) for folder in folders]
        extents = _survey(folders, sink)
    return [Measured(*one) for one in zip(ROLES, folders, extents, strict=False)], converted


def _survey(folders: Sequence[ClipFolder], sink: EventSink) -> list[Mapping[str, Extent]]:
    extents: list[Mapping[str, Extent]] = []
    problems: list[str] = []
    for folder in folders:
        try:
            extents.append(folder.survey(_reporter("read", sink, f"{folder.label}: ")))
        except UnreadableClipsError as error:
            problems += error.problems
    if problems:
        raise UnreadableClipsError([one_line(line) for line in problems])
    return extents


def _differ(
    folders: Sequence[ClipFolder], extents: Sequence[Mapping[str, Extent]], least: SoundFormat
) -> MetricError:
    """Name one clip of each format."""
    examples: dict[SoundFormat, str] = {}
    for folder, surveyed in zip(folders, extents, strict=True):
        for name, extent in surveyed.items():
            examples.setdefault(extent.format, f"{folder.label}: {name} is {extent.format}")
    said = ", ".join(one_line(example) for example in examples.values())
    return MetricError(said, hint=f"--convert brings every clip to {least}")


def _left_out(
    measured: Sequence[Measured], options: MetricOptions, embedding: RememberedEmbedding
) -> dict[str, str]:
    """Say why metrics cannot run with what is given."""
    folders = [one.folder for one in measured]
    reasons = {
        name: choice.what_lacks(metric_facts(name), folders, options) for name in METRIC_NAMES
    }
    if not reasons["fad"]:
        extents = {one.folder.label: one.extents for one in measured}
        reasons["fad"] = choice.lacks_windows(extents, embedding, project=options.project)
    for name in PAIRS_IF_ANY:
        reasons[name] = choice.lacks_wishes(name, folders, measured[0].extents)
    return {name: reason for name, reason in reasons.items() if reason}


def _score(name: str, make: Callable[[], Metric], sets: Sets, sink: EventSink) -> Score:
    started = time.monotonic()
    sink(Event(name, 0, 0, "clips", kind="begin"))
    found = score(name, make, sets, _reporter(name, sink))
    if found.refused:
        sink(Event(name, 0, 0, "clips", kind="failed"))
    else:
        spent = f"{time.monotonic() - started:.1f} s"
        sink(Event(name, 0, 0, "clips", message=spent, kind="done"))
    return found


def _reporter(stage: str, sink: EventSink, prefix: str = "") -> Report:
    def report(done: int, total: int, name: str) -> None:
        sink(Event(stage, done, total, "clips", one_line(f"{prefix}{name}")))

    return report


@contextlib.contextmanager
def _sink() -> Iterator[EventSink]:
    if sys.stderr.isatty():
        with LiveLines() as live:
            yield live
    else:
        yield PlainLines(sys.stderr)


def _print(
    document: Mapping[str, object],
    measured: Sequence[Measured],
    scores: Sequence[Score],
    left_out: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    if as_json:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        return
    for line in tables.result_lines(measured, scores, left_out):
        sys.stdout.write(f"{line}\n")


def _finish(scores: Sequence[Score]) -> int:
    problems = [_named(one) for one in scores if one.refused]
    problems += [
        f"{figure.metric}: {figure.judged}: {figure.text or 'failed'}"
        for one in scores
        for figure in one.failed
    ]
    if not scores:
        problems.append(
            "no metric can run with what is given - what each one lacks stands under left out"
        )
    for problem in problems:
        sys.stderr.write(f"lofi-recipe: {one_line(problem)}\n")
    return 1 if problems else 0


def _named(refusal: Score) -> str:
    """Begin a refusal with its metric's name, once."""
    prefix = f"{refusal.metric}: "
    return refusal.refused if refusal.refused.startswith(prefix) else prefix + refusal.refused
