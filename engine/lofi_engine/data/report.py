"""What is there, against what is wanted: counts, hours, cost, styles, licences, refusals."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lofi_engine.data.census import Census, Counted
from lofi_engine.data.targets import DEFAULT_TARGET_TRACKS, wanted_by_group, wanted_by_style
from lofi_engine.recipe.model import Recipe
from lofi_runtime.styles.taxonomy import Style

_VARYING = re.compile(r"'[^']*'|-?\d+(?:\.\d+)?")
_BETWEEN = re.compile(r"; (?!write )")  # one reason tells what to write behind a semicolon


@dataclass(frozen=True)
class Share:
    """What of the accepted tracks falls under one name."""

    name: str
    tracks: int
    hours: float
    cost_usd: float


@dataclass(frozen=True)
class Against:
    """A style or a group of styles: what is there and what is wanted."""

    id: str
    name: str
    group: str
    tracks: int
    wanted: int


@dataclass(frozen=True)
class Refusal:
    """A reason, how many files it keeps out, and the first of them with its own words."""

    reason: str
    files: int
    first: str
    first_reason: str


@dataclass(frozen=True)
class Report:
    """The figures of a data set; lists are in a stable order. JSON values throughout.

    Args:
        recipe: its name.
        basis: "ledger" (before a run, the sound unheard) or "curated" (after one).
        publish_license: what tracks' licences were held against.
        tracks: how many enter.
        refused: how many do not.
        target_tracks: how many are wanted.
        hours: of the tracks that enter, as far as known.
        hours_unknown: how many of them do not tell their length.
        cost_usd: what the tracks that enter cost.
        paid_usd: what all rows of the ledgers add up to.
        max_usd: the budget; None without.
        groups: the five groups of styles; a track counts to its main style alone.
        styles: the styles, likewise.
        without_style: tracks that enter and name no style.
        types: by how they were acquired.
        licenses: by licence.
        refusals: by reason, the most frequent first.
        human_verified: how many of those that enter were listened to.
        listener_scores: the scores given to them.
        mean_listener_score: their mean; None without.
        durations_sec: of the tracks that enter, as far as known.
        attributions: the credit lines for the model card, each once.
        attributions_built: those of them that no row gives, built from its other words.
        notes: what should be mended though it refuses nothing, as "file: note".
        missing: rows whose file is not there.
        absent: folders that the recipe names and that are not there.
    """

    recipe: str
    basis: str
    publish_license: str
    tracks: int
    refused: int
    target_tracks: int
    hours: float
    hours_unknown: int
    cost_usd: float
    paid_usd: float
    max_usd: float | None
    groups: tuple[Against, ...]
    styles: tuple[Against, ...]
    without_style: int
    types: tuple[Share, ...]
    licenses: tuple[Share, ...]
    refusals: tuple[Refusal, ...]
    human_verified: int
    listener_scores: tuple[float, ...]
    mean_listener_score: float | None
    durations_sec: tuple[float, ...]
    attributions: tuple[str, ...]
    attributions_built: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    absent: tuple[str, ...]


def report(recipe: Recipe, census: Census, styles: Mapping[str, Style]) -> Report:
    """Work out the figures."""
    accepted = census.accepted
    scores = tuple(t.listener_score for t in accepted if t.listener_score is not None)
    durations = tuple(t.duration_sec for t in accepted if t.duration_sec is not None)
    target = recipe.dataset.target_tracks or DEFAULT_TARGET_TRACKS
    main = main_styles(accepted)
    budget = recipe.dataset.budget
    return Report(
        recipe=recipe.name,
        basis=census.basis,
        publish_license=recipe.publish.license,
        tracks=len(accepted),
        refused=len(census.tracks) - len(accepted),
        target_tracks=target,
        hours=_hours(accepted),
        hours_unknown=len(accepted) - len(durations),
        cost_usd=_cost(accepted),
        paid_usd=round(census.paid_usd, 2),
        max_usd=budget.max_usd if budget else None,
        groups=_groups(main, styles, target),
        styles=styles_against(main, styles, target),
        without_style=sum(not track.style_ids for track in accepted),
        types=_shares((t.type or "not said", t) for t in accepted),
        licenses=_shares((t.license, t) for t in accepted),
        refusals=_refusals(census.tracks),
        human_verified=sum(track.human_verified for track in accepted),
        listener_scores=scores,
        mean_listener_score=round(fmean(scores), 1) if scores else None,
        durations_sec=tuple(round(duration, 1) for duration in durations),
        attributions=_credits(accepted),
        attributions_built=_credits(track for track in accepted if track.credit_built),
        notes=tuple(f"{track.source}: {note}" for track in accepted for note in track.notes),
        missing=census.missing,
        absent=census.absent,
    )


def main_styles(tracks: Iterable[Counted]) -> dict[str, int]:
    """Count tracks by their main style."""
    counts: dict[str, int] = defaultdict(int)
    for track in tracks:
        if track.style_ids:
            counts[track.style_ids[0]] += 1
    return dict(counts)


def styles_against(
    main: Mapping[str, int], styles: Mapping[str, Style], target_tracks: int
) -> tuple[Against, ...]:
    """Hold the count of each style against what is wanted of it."""
    wanted = wanted_by_style(styles.values(), target_tracks)
    return tuple(
        Against(style.id, style.name, style.group, main.get(style.id, 0), wanted[style.id])
        for style in styles.values()
    )


def _groups(
    main: Mapping[str, int], styles: Mapping[str, Style], target_tracks: int
) -> tuple[Against, ...]:
    have: dict[str, int] = defaultdict(int)
    for style_id, number in main.items():
        if style_id in styles:
            have[styles[style_id].group] += number
    wanted = wanted_by_group(styles.values(), target_tracks)
    return tuple(
        Against(group, group, group, have[group], number) for group, number in wanted.items()
    )


def _shares(named: Iterable[tuple[str, Counted]]) -> tuple[Share, ...]:
    parts: dict[str, list[Counted]] = defaultdict(list)
    for name, track in named:
        parts[name].append(track)
    ordered = sorted(parts.items(), key=lambda part: (-len(part[1]), part[0]))
    return tuple(Share(name, len(part), _hours(part), _cost(part)) for name, part in ordered)


def _refusals(tracks: Sequence[Counted]) -> tuple[Refusal, ...]:
    """Group reasons that differ in names and numbers alone; one reason of several counts once."""
    parts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for track in tracks:
        for reason in filter(None, _BETWEEN.split(track.refusal)):
            parts[_pattern(reason)].append((reason, track.source))
    ordered = sorted(parts.items(), key=lambda part: (-len(part[1]), part[0]))
    return tuple(
        Refusal(
            reason=_common([reason for reason, _ in found]),
            files=len(found),
            first=found[0][1],
            first_reason=found[0][0],
        )
        for _, found in ordered
    )


def _pattern(reason: str) -> str:
    return _VARYING.sub(_stands_for, reason)


def _common(reasons: Sequence[str]) -> str:
    """Give reasons of one pattern as one: what differs among them is left open."""
    columns = zip(*(_VARYING.findall(reason) for reason in reasons), strict=True)
    same = iter([len(set(column)) == 1 for column in columns])
    return _VARYING.sub(lambda found: found[0] if next(same) else _stands_for(found), reasons[0])


def _stands_for(found: re.Match[str]) -> str:
    return "'...'" if found[0].startswith("'") else "N"


def _credits(tracks: Iterable[Counted]) -> tuple[str, ...]:
    return tuple(sorted({track.attribution for track in tracks if track.attribution}))


def _hours(tracks: Iterable[Counted]) -> float:
    return round(math.fsum(track.duration_sec or 0.0 for track in tracks) / 3600, 3)


def _cost(tracks: Iterable[Counted]) -> float:
    return round(math.fsum(track.cost_usd for track in tracks), 2)
