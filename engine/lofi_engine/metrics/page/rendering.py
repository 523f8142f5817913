"""Writes the page itself: plain HTML with its style and script inside, no network."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

from lofi_engine.gallery.spectrogram import HEIGHT, WIDTH
from lofi_engine.metrics.checks import plural
from lofi_engine.metrics.document import NO_DIFFERENCE
from lofi_engine.metrics.page.bars import Bar, draw_bars
from lofi_engine.metrics.page.embedding_map import EmbeddingMap
from lofi_engine.metrics.page.sounds import Shown

GENERATOR = '<meta name="generator" content="lofi-recipe measure">'
"""What tells our page from somebody else's."""

_ROLES = {"judged": "A, judged", "against": "B", "reference": "C, the reference"}

Row = Mapping[str, Any]


def write_html(
    document: Row, drawn: EmbeddingMap, rows: Sequence[Sequence[Shown | None]], order: str
) -> str:
    """Write the page.

    Args:
        document: of `as_document`.
        drawn: the map.
        rows: the clips to show, one column a set.
        order: in which they stand, in words.

    Returns:
        A whole HTML document; the same arguments give the same text.
    """
    template = (files(__package__) / "page.html").read_text(encoding="utf-8")
    labels = {one["label"]: one["role"] for one in document["sets"]}
    parts = {
        "generator": GENERATOR,
        "title": _escaped(" against ".join(list(labels)[:2])),
        "sets": "\n".join(map(_set, document["sets"])),
        "figures": "\n".join(_cards(document, labels)) or "<p>No metric gave a figure.</p>",
        "map": drawn.svg,
        "map-said": _escaped(drawn.said),
        "legend": "\n".join(_legend(one) for one in document["sets"]) if drawn.svg else "",
        "order": _escaped(f"{len(rows)} shown, {order}" if rows else "none shown"),
        "clips": "\n".join(map(_clip_row, rows)),
        "absent": "\n".join(_absent(document)),
    }
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template.encode("utf-8", "replace").decode()


def _set(one: Row) -> str:
    converted = ", converted" if one["converted"] else ""
    channels = {1: "mono", 2: "stereo"}[one["channels"]]
    facts = (
        plural(one["clips"], "clip"),
        f"{one['duration_sec']:.0f} s",
        f"{one['sample_rate']} Hz {channels}{converted}",
        f"hash {one['hash']}",
    )
    return (
        f'<li class="{one["role"]}"><b>{_ROLES[one["role"]]}</b> '
        f"{_escaped(one['label'])} <small>{' · '.join(facts)}</small></li>"
    )


def _cards(document: Row, labels: Mapping[str, str]) -> Iterator[str]:
    for metric, figures in groupby(document["figures"], key=lambda row: row["metric"]):
        found = list(figures)
        bars = draw_bars([_bar(one, labels) for one in found], f"{metric} with its interval")
        yield _card(metric, "", found, [bars])
    for row in document["differences"]:
        pair = [row["first"], row["second"]]
        values = draw_bars([_bar(one, labels) for one in pair], f"{row['metric']} of both sets")
        said = f"difference {_number(row['value'])}, {_interval(row['interval'])}"
        each = _paired(row)
        bar = Bar(
            row["value"], row["interval"]["low"], row["interval"]["high"], "difference", said, each
        )
        difference = draw_bars([bar], f"{row['metric']}: the difference", zero=True)
        said_between = '<p class="said">A less B; the broken line is zero</p>'
        yield _card(row["metric"], _verdict(row), pair, [values, said_between, difference])


def _paired(row: Row) -> dict[str, float]:
    first, second = row["first"]["each"], row["second"]["each"]
    return {name: first[name] - second[name] for name in first.keys() & second.keys()}


def _bar(figure: Row, labels: Mapping[str, str]) -> Bar:
    interval = figure["interval"] or {}
    said = f"{figure['judged']}: {_number(figure['value'])}, {_interval(figure['interval'])}"
    kind = labels.get(figure["judged"], "judged")
    return Bar(
        figure["value"], interval.get("low"), interval.get("high"), kind, said, figure["each"]
    )


def _verdict(row: Row) -> str:
    word = row["verdict"]
    if not word:
        return ""
    kind = "even" if word == NO_DIFFERENCE else word
    said = word if word == NO_DIFFERENCE else f"A is {word}"
    relative = "" if row["relative"] is None else f" ({row['relative']:+.1%})"
    numbers = f"{row['value']:+.4g}{relative}, {_interval(row['interval'])}, {row['n']} pairs"
    return f'<p class="verdict {kind}"><b>{said}</b> {numbers}</p>'


def _card(metric: str, verdict: str, figures: Sequence[Row], drawings: Sequence[str]) -> str:
    first = figures[0]
    better = f"{first['better']} is better" if first["better"] else ""
    lines = "".join(_line(figure) for figure in figures)
    held = " · ".join(
        _escaped(part)
        for part in (
            f"against {first['against']} ({first['reference_hash']})" if first["against"] else "",
            first["embedding"],
        )
        if part
    )
    details = "".join(
        f"<pre>{_escaped(json.dumps(figure['details'], indent=1, ensure_ascii=False))}</pre>"
        for figure in figures
        if figure["details"]
    )
    more = f"<details><summary>details</summary>{details}</details>" if details else ""
    return (
        f"<article><h3>{_escaped(metric)} <small>{better}</small></h3>{verdict}"
        f"{''.join(drawings)}<ul>{lines}</ul><p>{held}</p>{more}</article>"
    )


def _line(figure: Row) -> str:
    unit = f" {figure['unit']}" if figure["unit"] else ""
    said = [
        f"<b>{_number(figure['value'])}{_escaped(unit)}</b>",
        _escaped(_interval(figure["interval"])),
        f"{figure['n']} {_escaped(figure['counted'])}",
    ]
    said += [
        _escaped(str(figure["details"][key]))
        for key in ("no_interval", "text")
        if figure["details"].get(key)
    ]
    failed = '<b class="failed">failed</b> ' if figure["details"].get("failed") else ""
    return f"<li>{failed}{_escaped(figure['judged'])}: {' · '.join(said)}</li>"


def _legend(one: Row) -> str:
    role = one["role"]
    return (
        f'<button type="button" class="{role}" data-role="{role}" aria-pressed="true">'
        f"{_ROLES[role]}: {_escaped(one['label'])}</button>"
    )


def _clip_row(row: Sequence[Shown | None]) -> str:
    cells = "".join(_clip(one) if one else '<div class="clip"></div>' for one in row)
    names = {one.name for one in row if one}
    paired = len(row) > 1 and len(names) == 1 and None not in row
    heading = next(iter(names)) if len(names) == 1 else ""
    prompt = next((one.prompt for one in row if one and one.prompt), "") if paired else ""
    said = f"<h3>{_escaped(heading)}</h3>" if heading else ""
    said += f'<p class="prompt">{_escaped(prompt)}</p>' if prompt else ""
    return (
        f'<section class="row"{" data-paired" if paired else ""}>{said}<div>{cells}</div></section>'
    )


def _clip(one: Shown) -> str:
    values = " · ".join(f"{metric} {_number(value)}" for metric, value in one.values.items())
    name = _escaped(f"{_ROLES[one.role]}: {one.name}")
    style = f" <small>{_escaped(one.style)}</small>" if one.style else ""
    return (
        f'<div class="clip {one.role}"><p>{name}{style}</p>'
        f'<div class="picture"><img src="{one.picture}" width="{WIDTH}" height="{HEIGHT}" '
        f'loading="lazy" alt="Spectrogram of {name}"><i></i></div>'
        f'<audio controls preload="none" src="{one.audio}" aria-label="{name}"></audio>'
        f'<p class="values">{_escaped(values)}</p></div>'
    )


def _absent(document: Row) -> Iterator[str]:
    for key, word in (("refused", "refused"), ("left_out", "left out"), ("notes", "note")):
        for row in document[key]:
            said = _escaped(row.get("reason") or row.get("note") or "")
            yield f"<li><b>{_escaped(row['metric'])}</b> {word}: {said}</li>"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _interval(interval: Row | None) -> str:
    if interval is None:
        return "no interval"
    return f"{interval['confidence']:.0%} interval {interval['low']:.4g} to {interval['high']:.4g}"


def _escaped(text: str) -> str:
    return html.escape(text)
