"""A report as one HTML page: plots as SVG, tables, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from lofi_engine.data.bars import Bar, draw_bars, draw_histogram
from lofi_engine.data.report import Against, Report, Share
from lofi_runtime.atomic import write_text
from lofi_runtime.errors import LofiError

GENERATOR = '<meta name="generator" content="lofi-recipe data report">'
_SUFFIXES = (".html", ".htm")
_DURATION_EDGES_SEC = (0, 30, 60, 90, 120, 150, 180, 210, 240)
_SCORE_EDGES = tuple(range(0, 101, 10))
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 54rem; padding: 0 1rem;
  color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .2rem .6rem .2rem 0;
  text-align: left; vertical-align: top; border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: currentColor; }
.bar { fill: #4a7ebb; } .goal { stroke: #d1602c; stroke-width: 2; } .note { color: #767676; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1c1c1f; } }
"""


def write_report_page(path: Path, found: Report) -> None:
    """Write the page; only a page of ours is written over.

    Raises:
        LofiError: the name is no page's, something else lies there, or it cannot be written.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise LofiError(f"--html: '{path}' is no page's name", hint="let it end in .html")
    try:
        if path.exists() and GENERATOR.encode() not in path.read_bytes()[:1000]:
            raise LofiError(
                f"--html: {path} is there and no report of ours", hint="choose another name"
            )
        write_text(path, report_page(found))
    except OSError as error:
        raise LofiError(f"--html: {path} cannot be written: {error.strerror}") from error


def report_page(found: Report) -> str:
    """Render the page; the same report gives the same bytes."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Report) -> Iterator[str]:
    title = f"Tracks of {escape(found.recipe)}"
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8">{GENERATOR}'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1>"
    yield f"<p>{escape(headline(found))}</p>"
    yield f'<p class="note">{escape(basis(found))}</p>'
    yield from _plots(found)
    yield from _shares("Licences", "licence", found.licenses)
    yield from _shares("How they were acquired", "type", found.types)
    yield from _refusals(found)
    yield from _list("To mend, though nothing is refused for it", found.notes)
    yield from _list("Rows of the ledgers whose file is not there", found.missing)
    yield from _list("Folders that are not there", found.absent)
    yield from _list("Credits for the model card", found.attributions)
    yield "</body></html>"


def headline(found: Report) -> str:
    """Say the main figures in a sentence."""
    unknown = f" and {found.hours_unknown} of unknown length" if found.hours_unknown else ""
    said = (
        f"{found.tracks} of the {found.target_tracks} tracks wanted, {found.hours:.2f} hours"
        f"{unknown}; {found.refused} refused; {found.cost_usd:,.2f} USD for those that enter, "
        f"{found.paid_usd:,.2f} USD in all"
    )
    return said if found.max_usd is None else f"{said} of a budget of {found.max_usd:,.2f} USD"


def basis(found: Report) -> str:
    """Say what was counted."""
    held = f"licences held against a model under {found.publish_license}"
    if found.basis == "curated":
        return f"Counted on the curated set of the last run; {held}."
    return f"Counted on the ledgers, the sound itself not yet looked at; {held}."


def _plots(found: Report) -> Iterator[str]:
    yield "<h2>Groups of styles against the target mix</h2>"
    yield draw_bars("Tracks by group of styles, the mark is the target", _against(found.groups))
    if found.max_usd is not None:
        yield "<h2>Cost against the budget</h2>"
        text = f"{found.paid_usd:,.0f} of {found.max_usd:,.0f} USD"
        yield draw_bars(
            "US dollars paid, the mark is the budget",
            [Bar("paid", found.paid_usd, found.max_usd, text)],
        )
    if found.licenses:
        yield "<h2>Licence mix</h2>"
        bars = [Bar(share.name, share.tracks, None, str(share.tracks)) for share in found.licenses]
        yield draw_bars("Tracks by licence", bars)
    if found.refusals:
        yield "<h2>Refused</h2>"
        bars = [Bar(each.reason, each.files, None, str(each.files)) for each in found.refusals]
        yield draw_bars("Files by the reason they are refused for", bars)
    yield "<h2>Styles against the target mix</h2>"
    named = [
        Against(each.id, f"{each.id} {each.name}", each.group, each.tracks, each.wanted)
        for each in found.styles
    ]
    yield draw_bars("Tracks by main style, the mark is the target", _against(named))
    if found.durations_sec:
        yield "<h2>Lengths</h2>"
        yield draw_histogram("Tracks by length", found.durations_sec, _DURATION_EDGES_SEC, "s")
    if found.listener_scores:
        yield "<h2>Listeners' scores</h2>"
        yield draw_histogram("Tracks by score", found.listener_scores, _SCORE_EDGES, "")


def _against(rows: Sequence[Against]) -> list[Bar]:
    return [Bar(row.name, row.tracks, row.wanted, f"{row.tracks} of {row.wanted}") for row in rows]


def _shares(title: str, column: str, shares: Sequence[Share]) -> Iterator[str]:
    if shares:
        yield f"<h2>{title}</h2>"
        rows = [
            (each.name, str(each.tracks), f"{each.hours:.2f}", f"{each.cost_usd:,.2f}")
            for each in shares
        ]
        yield from _table((column, "tracks", "hours", "USD"), rows, numbers=(1, 2, 3))


def _refusals(found: Report) -> Iterator[str]:
    if found.refusals:
        yield "<h2>Why files are refused</h2>"
        rows = [(str(each.files), each.reason, each.first) for each in found.refusals]
        yield from _table(("files", "reason", "first"), rows, numbers=(0,))


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]
) -> Iterator[str]:
    kinds = [' class="number"' if at in numbers else "" for at in range(len(head))]
    cells = "".join(f"<th{kind}>{escape(t)}</th>" for kind, t in zip(kinds, head, strict=True))
    yield f"<table><thead><tr>{cells}</tr></thead><tbody>"
    for row in rows:
        cells = "".join(f"<td{kind}>{escape(t)}</td>" for kind, t in zip(kinds, row, strict=True))
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table>"


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"<h2>{title}</h2><ul>"
        yield from (f"<li>{escape(line)}</li>" for line in lines)
        yield "</ul>"
