"""Shows a climbed ladder: a table of verdicts, false claims as lines, all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lofi_engine.metrics.ladder.climb import Climb, Ladder
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_engine.metrics.ladder.verdicts import MEANINGS, Rung

CLAIM_MARK, FALSE_MARK = "*", "!"


def table_rows(ladder: Ladder) -> list[list[str]]:
    """Give a row a figure and a column a degradation, the header first.

    A cell has the verdict and the mildest level told; it ends in * where the metric claims to rank
    it, in ! where it claims so in vain.
    """
    shown = [name for name in DEGRADATIONS if any(c.degradation == name for c in ladder.climbs)]
    by_figure: dict[tuple[str, str], dict[str, Climb]] = {}
    for climb in ladder.climbs:
        by_figure.setdefault((climb.metric, climb.figure), {})[climb.degradation] = climb
    rows = [["metric", *shown]]
    for (_, figure), climbs in by_figure.items():
        rows.append([figure, *(_cell(climbs[name]) for name in shown)])
    return rows


def false_claims(ladder: Ladder) -> Iterator[str]:
    """Give a line for every claim that the ladder does not bear out."""
    for climb in ladder.false_claims:
        yield (
            f"{climb.metric} claims to rank {climb.degradation}: {climb.verdict.word} "
            f"({MEANINGS[climb.verdict.word]})"
        )


def as_json(ladder: Ladder) -> dict[str, Any]:
    """Give everything as plain JSON values."""
    return {
        "clips": ladder.clips,
        "content_hash": ladder.content_hash,
        "degraded": ladder.count,
        "seed": ladder.seed,
        "false_claims": len(ladder.false_claims),
        "climbs": [_climb_json(climb) for climb in ladder.climbs],
    }


def _cell(climb: Climb) -> str:
    verdict = climb.verdict
    degradation = DEGRADATIONS[climb.degradation]
    said = verdict.word
    if verdict.told_from is not None:
        said += f", {degradation.say(verdict.told_from)}"
    if not climb.claimed:
        return said
    return f"{said} {CLAIM_MARK if climb.borne_out else FALSE_MARK}"


def _climb_json(climb: Climb) -> dict[str, Any]:
    return {
        "metric": climb.metric,
        "figure": climb.figure,
        "degradation": climb.degradation,
        "unit": DEGRADATIONS[climb.degradation].unit,
        "claimed": climb.claimed,
        "borne_out": climb.borne_out,
        "verdict": climb.verdict.word,
        "told_from": climb.verdict.told_from,
        "held_against": climb.held_against,
        "better": climb.undegraded.better,
        "embedding": climb.undegraded.embedding,
        "n": climb.undegraded.n,
        "counted": climb.undegraded.counted,
        "undegraded": climb.undegraded.value,
        "levels": [_rung_json(rung) for rung in climb.rungs],
    }


def _rung_json(rung: Rung) -> dict[str, Any]:
    if rung.difference is None:
        return {"level": rung.level, "refused": rung.refused}
    change = rung.difference.interval
    interval = rung.difference.first.interval
    return {
        "level": rung.level,
        "value": rung.difference.first.value,
        "interval": None if interval is None else [interval.low, interval.high],
        "change": rung.difference.value,
        "change_interval": [change.low, change.high],
        "resamples": change.resamples,
    }
