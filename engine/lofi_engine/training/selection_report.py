"""A choice of checkpoint for people and programs: lines on screen, `select.md`, `select.json`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lofi_engine.markdown import plain
from lofi_engine.measuring.records import rounded
from lofi_engine.metrics.figures import LOWER, Interval
from lofi_engine.training.selection import Ranked, Selection, Term
from lofi_engine.training.selection_terms import LOSS

_ARROWS = {LOWER: "↓"}


@dataclass(frozen=True)
class Judgement:
    """Everything that was found.

    Args:
        checkpoints: their names, earliest first.
        selection: the choice.
        terms: what checkpoints were judged by, those of weight 0 too.
        judged_on: "validation" or "train".
        tracks: how many tracks of it.
        precision: the base's, "fp32" or "bf16".
        clips: what was rendered, as plain JSON values; empty where nothing was.
        left_out: why terms were not measured, by name.
    """

    checkpoints: tuple[str, ...]
    selection: Selection
    terms: tuple[Term, ...]
    judged_on: str
    tracks: int
    precision: str
    clips: dict[str, Any]
    left_out: dict[str, str]

    @property
    def why(self) -> str:
        """Why the chosen one was chosen, and how sure that is, in a sentence or two."""
        chosen, lead = self.selection.chosen, self.selection.lead
        said = f"{chosen.name} scores {_signed(chosen)}"
        if lead is None:
            said += ", the only checkpoint that could be chosen"
        elif lead.value == 0:
            said += f", as {lead.over} does: the earlier is taken"
        else:
            said += f", {lead.value:.2%} ahead of {lead.over}"
            if lead.interval is None:
                said += "; whether that is chance is not known, too little was counted"
            elif lead.is_beyond_chance:
                said += f", which is beyond chance {_between(lead.interval)}"
            else:
                said += f", which may be chance {_between(lead.interval)}"
        return said

    def facts(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        loss = next(term for term in self.terms if term.name == LOSS)
        lead = self.selection.lead
        return {
            "chosen": self.selection.chosen.name,
            "why": self.why,
            "judged_on": self.judged_on,
            "tracks": self.tracks,
            "precision": self.precision,
            "base_error": loss.base,
            "errors": {name: loss.standings[name].value for name in self.checkpoints},
            "lead": None
            if lead is None
            else {
                "over": lead.over,
                "value": rounded(lead.value),
                "interval": _interval_record(lead.interval),
                "beyond_chance": lead.is_beyond_chance,
            },
            "terms": {term.name: _term_record(term) for term in self.terms},
            "left_out": self.left_out,
            "clips": self.clips,
            "checkpoints": {name: self._checkpoint_record(name) for name in self.checkpoints},
        }

    def lines(self) -> Iterator[str]:
        """Give the table for a screen, and the choice below it."""
        rows = [self._head(), *self._rows(), self._base_row()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            yield "  ".join(cells).rstrip()
        for name, reason in self.selection.out.items():
            yield f"{name} cannot be chosen: {reason}"
        for name, reason in self.left_out.items():
            yield f"{name} is not measured: {reason}"
        yield f"chosen: {self.why}"

    def page(self) -> str:
        """Give `select.md`."""
        lines = [
            f"# Checkpoint {self.selection.chosen.name}",
            "",
            f"{self.why}.",
            "",
            f"Judged on {self.tracks} {self.judged_on} tracks, in {self.precision}. The score is "
            "the weighted mean of the terms' gains, in brackets behind each figure; the base's is "
            "0, higher is better. Intervals hold 95 %, by paired bootstrap.",
            "",
            *_markdown([self._head(), *self._rows(), self._base_row()]),
            "",
            "## Terms",
            "",
            *_markdown([("term", "weight", "better", "gain", "counted"), *self._term_rows()]),
            "",
            "## Held-out loss by style",
            "",
            *_markdown(self._style_rows()),
        ]
        for title, reasons in (
            ("Not chosen from", self.selection.out),
            ("Not measured", self.left_out),
        ):
            if reasons:
                lines += ["", f"## {title}", ""]
                lines += [f"- {name}: {plain(reason)}" for name, reason in reasons.items()]
        return "\n".join(lines) + "\n"

    def _head(self) -> tuple[str, ...]:
        names = [f"{term.name} {_ARROWS.get(term.better, '↑')}" for term in self.terms]
        return ("checkpoint", "score ↑", "interval", *names)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        ranked = {one.name: one for one in self.selection.ranked}
        for name in self.checkpoints:
            mark = " *" if name == self.selection.chosen.name else ""
            score, interval = ("-", "") if name not in ranked else _scored(ranked[name])
            yield (name + mark, score, interval, *(_cell(term, name) for term in self.terms))

    def _base_row(self) -> tuple[str, ...]:
        return ("base", f"{0:+.2%}", "", *(f"{term.base:.4g}" for term in self.terms))

    def _term_rows(self) -> Iterator[tuple[str, ...]]:
        for term in self.terms:
            counted = f"{term.n} {term.counted}"
            if embedding := term.details.get("embedding"):
                counted += f", {plain(embedding)}"
            yield (term.name, f"{term.weight:g}", term.better, term.rule, counted)

    def _style_rows(self) -> list[tuple[str, ...]]:
        loss = next(term for term in self.terms if term.name == LOSS)
        base = loss.details["base_by_style"]
        rows = [("checkpoint", *(style or "no style" for style in base))]
        for name in self.checkpoints:
            found = loss.standings[name].parts["by_style"]
            rows.append(
                (name, *(f"{found[one]:.4g} ({1 - found[one] / base[one]:+.1%})" for one in base))
            )
        return [*rows, ("base", *(f"{value:.4g}" for value in base.values()))]

    def _checkpoint_record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in self.selection.ranked:
            if one.name == name:
                found = {
                    "score": rounded(one.score),
                    "interval": _interval_record(one.interval),
                    "beyond_chance": one.is_beyond_chance,
                }
        if name in self.selection.out:
            found["cannot_be_chosen"] = self.selection.out[name]
        for term in self.terms:
            if name in term.standings:
                standing = term.standings[name]
                found[term.name] = {
                    "value": rounded(standing.value),
                    "gain": rounded(standing.gain),
                    "gain_interval": _interval_record(term.interval(name)),
                    **rounded(standing.parts),
                }
        return found


def _scored(ranked: Ranked) -> tuple[str, str]:
    interval = ranked.interval
    return f"{ranked.score:+.2%}", "" if interval is None else _between(interval)


def _signed(ranked: Ranked) -> str:
    interval = "" if ranked.interval is None else f" {_between(ranked.interval)}"
    return f"{ranked.score:+.2%}{interval}"


def _between(interval: Interval) -> str:
    return f"[{interval.low:+.2%}, {interval.high:+.2%}]"


def _cell(term: Term, name: str) -> str:
    standing = term.standings.get(name)
    return "-" if standing is None else f"{standing.value:.4g} ({standing.gain:+.1%})"


def _interval_record(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else rounded(dict(vars(interval)))


def _term_record(term: Term) -> dict[str, Any]:
    return {
        "weight": term.weight,
        "better": term.better,
        "gain": term.rule,
        "base": rounded(term.base),
        "n": term.n,
        "counted": term.counted,
        **rounded(term.details),
    }


def _markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    head, *others = rows
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in others:
        yield f"| {' | '.join(row)} |"
