"""Writes a climbed ladder as the Markdown page that the documents keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lofi_engine.markdown import plain
from lofi_engine.metrics.ladder.climb import OTHER_CLIPS, Climb, Ladder
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.ladder.table import CLAIM_MARK, FALSE_MARK, table_rows
from lofi_engine.metrics.ladder.verdicts import MEANINGS, Rung


def ladder_page(ladder: Ladder, command: str) -> str:
    """Write the page: what was done, the verdicts, then every figure with its interval.

    Args:
        ladder: as climbed.
        command: what makes the page anew.
    """
    lines = [
        "# Which metric sees what",
        "",
        f"Made by `{command}` from {plain(ladder.clips)} (content {ladder.content_hash}).",
        "",
        f"{ladder.count} clips are degraded, fewer for slow metrics, as stated with each. A metric "
        "of pairs holds them against themselves undegraded: it hears any change at all. A metric "
        f"of sets holds them against {ladder.count} others, which share no clip with them: what it "
        "says of the undegraded ones is the floor. A level is told where the 95 % interval of its "
        "difference to the undegraded, by paired bootstrap over clips, leaves out zero.",
        "",
        *(f"- **{word}**: {meaning}." for word, meaning in MEANINGS.items()),
        "",
        f"After the verdict stands the mildest level told. `{CLAIM_MARK}`: the metric claims "
        f"to rank it. `{FALSE_MARK}`: it claims so in vain.",
        "",
        *_markdown(table_rows(ladder)),
        "",
        "## The degradations",
        "",
        "All keep length, channels and sample rate; levels go from mild to severe.",
        "",
        *_markdown(_degradation_rows(ladder)),
    ]
    for metric in dict.fromkeys(climb.metric for climb in ladder.climbs):
        lines += ["", *_metric_section([c for c in ladder.climbs if c.metric == metric])]
    return "\n".join(lines) + "\n"


def _degradation_rows(ladder: Ladder) -> list[list[str]]:
    tried = {climb.degradation for climb in ladder.climbs}
    rows = [["degradation", "what is done", "levels"]]
    for one in DEGRADATIONS.values():
        if one.name in tried:
            levels = ", ".join(f"{level:g}" for level in one.levels)
            rows.append([one.name, one.title, f"{levels} {one.unit}"])
    return rows


def _metric_section(climbs: Sequence[Climb]) -> Iterator[str]:
    yield f"## {climbs[0].metric}"
    for figure in dict.fromkeys(climb.figure for climb in climbs):
        of_figure = [climb for climb in climbs if climb.figure == figure]
        start = of_figure[0].undegraded
        what = "floor" if of_figure[0].held_against == OTHER_CLIPS else "undegraded"
        unit = f" {start.unit}" if start.unit else ""
        better = f", {start.better} is better" if start.better else ""
        embedding = f", {start.embedding}" if start.embedding else ""
        yield ""
        yield (
            f"`{figure}` against {of_figure[0].held_against}: {what} {_number(start.value)}{unit} "
            f"over {start.n} {start.counted}{better}{embedding}. In brackets the interval of the "
            "change from there."
        )
        yield ""
        yield from _markdown(_level_rows(of_figure))


def _level_rows(climbs: Sequence[Climb]) -> list[list[str]]:
    """Give a row a degradation; columns count the levels, which differ between rows."""
    most = max(len(climb.rungs) for climb in climbs)
    rows = [["degradation", "verdict", *(f"level {index + 1}" for index in range(most))]]
    for climb in climbs:
        cells = [_rung(climb, rung) for rung in climb.rungs]
        rows.append([climb.degradation, climb.verdict.word, *cells, *[""] * (most - len(cells))])
    return rows


def _rung(climb: Climb, rung: Rung) -> str:
    level = f"{rung.level:g}"
    if rung.difference is None:
        return f"{level}: refused"
    value = _number(rung.difference.first.value)
    low, high = rung.difference.interval.low, rung.difference.interval.high
    return f"{level}: {value} ({_number(low, sign=True)} to {_number(high, sign=True)})"


def _number(value: float, *, sign: bool = False) -> str:
    """Write three digits that matter, without an exponent, zero without a sign."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:+.0f}" if sign else f"{value:.0f}"
    if abs(value) < 0.0005:
        return f"{value:+.1e}" if sign else f"{value:.1e}"
    return f"{value:+.3g}" if sign else f"{value:.3g}"


def _markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give the lines of a table, the header first."""
    header, *body = rows
    for row in (header, ["---"] * len(header), *body):
        yield f"| {' | '.join(row)} |"
