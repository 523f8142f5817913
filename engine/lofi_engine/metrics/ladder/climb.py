"""Climbs the ladder: every metric over every degradation and level, with what it claims to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import Difference, Figure
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS, Degradation
from lofi_engine.metrics.ladder.sets import DegradedClips, SomeClips, halves
from lofi_engine.metrics.ladder.verdicts import RANKED, THRESHOLD, Rung, Verdict, judge
from lofi_engine.metrics.per_clip import compare_each
from lofi_engine.metrics.protocol import Metric, Needs, Report

SAME_CLIPS, OTHER_CLIPS, NOTHING = "the same clips undegraded", "other clips", "nothing"


@dataclass(frozen=True)
class Climb:
    """One figure of a metric along one degradation.

    Args:
        metric: the metric's name.
        figure: the figure's name, often the same.
        degradation: what was done to the clips.
        claimed: whether the metric claims to rank it.
        borne_out: whether the metric's figures together would bear such a claim out.
        held_against: SAME_CLIPS, OTHER_CLIPS or NOTHING.
        undegraded: the figure before anything was done.
        rungs: from mild to severe.
        verdict: what follows from them.
    """

    metric: str
    figure: str
    degradation: str
    claimed: bool
    borne_out: bool
    held_against: str
    undegraded: Figure
    rungs: tuple[Rung, ...]
    verdict: Verdict

    @property
    def is_false_claim(self) -> bool:
        """Whether the metric claims to rank what it does not."""
        return self.claimed and not self.borne_out


@dataclass(frozen=True)
class Ladder:
    """All climbs over one set of clips.

    Args:
        clips: the label of the set.
        content_hash: of the set.
        count: how many clips were degraded, but for slow metrics; as many others are the reference
            of set metrics.
        seed: of the degradations.
        climbs: by metric, in the order of the metrics and the degradations.
    """

    clips: str
    content_hash: str
    count: int
    seed: int
    climbs: tuple[Climb, ...]

    @property
    def false_claims(self) -> tuple[Climb, ...]:
        """What metrics claim to rank and do not, by the first figure of each."""
        false = {(c.metric, c.degradation): c for c in reversed(self.climbs) if c.is_false_claim}
        return tuple(climb for climb in self.climbs if climb in false.values())


def climb_ladder(
    metrics: Sequence[Metric],
    clips: ClipSet,
    report: Report,
    *,
    degradations: Sequence[Degradation] = tuple(DEGRADATIONS.values()),
    seed: int = 0,
    most_clips: Mapping[str, int] | None = None,
) -> Ladder:
    """Climb every degradation with every metric.

    The clips are parted in two halves. The first is degraded. Metrics of sets hold it against the
    second half, before and after, so that what two sets of good clips differ by is the floor that
    a degradation must rise above. All other metrics are given the first half undegraded as the
    pairs; those that need no reference may leave it alone.

    Args:
        metrics: what is tried; none that needs latents, which degraded sound has not.
        clips: two at the least, without what a metric would refuse.
        report: called after every level, with "METRIC: DEGRADATION at LEVEL".
        degradations: what is done to the clips.
        seed: of what is random in it.
        most_clips: how many clips a metric of this name is given at most, where it is slow; they
            are spread evenly over the half.

    Raises:
        MetricError: a metric refuses the undegraded clips, claims a degradation that is not there,
            or needs latents.
    """
    for metric in metrics:
        _check(metric)
    half, others = halves(clips)
    total, done = len(metrics) * sum(len(one.levels) for one in degradations), 0
    climbs: list[Climb] = []
    for metric in metrics:
        degraded = _at_most(half, (most_clips or {}).get(metric.name, len(half.names)))
        against: ClipSet = others if _needs_others(metric.needs) else degraded
        before = {one.metric: one for one in metric.measure(degraded, against, _quiet)}
        for degradation in degradations:
            rungs: dict[str, list[Rung]] = {name: [] for name in before}
            for level in degradation.levels:
                worse = DegradedClips(degraded, degradation, level, seed)
                _climb_one(metric, (worse, degraded, against), level, before, rungs)
                done += 1
                report(
                    done, total, f"{metric.name}: {degradation.name} at {degradation.say(level)}"
                )
            climbs += _climbs(metric, degradation, before, rungs)
    return Ladder(clips.label, clips.content_hash(), len(half.names), seed, tuple(climbs))


def _climb_one(
    metric: Metric,
    sets: tuple[ClipSet, ClipSet, ClipSet],
    level: float,
    before: Mapping[str, Figure],
    rungs: Mapping[str, list[Rung]],
) -> None:
    """Compare at one level and add a rung to each figure; what is refused is a rung as well."""
    try:
        compared, refused = _compare(metric, sets, before), "this figure was not given"
    except MetricError as error:
        compared, refused = {}, str(error)
    for name, climbed in rungs.items():
        difference = compared.get(name)
        climbed.append(Rung(level, difference, "" if difference else refused))


def _compare(
    metric: Metric,
    sets: tuple[ClipSet, ClipSet, ClipSet],
    before: Mapping[str, Figure],
) -> dict[str, Difference]:
    """Compare degraded clips with the undegraded, of which nothing is measured a second time."""
    worse, undegraded, against = sets
    if all(figure.each for figure in before.values()):
        figures = metric.measure(worse, against, _quiet)
        differences = [
            compare_each(figure, before[figure.metric])
            for figure in figures
            if figure.metric in before
        ]
    else:
        differences = list(metric.compare(worse, undegraded, against, _quiet))
    return {one.metric: one for one in differences}


def _climbs(
    metric: Metric,
    degradation: Degradation,
    before: Mapping[str, Figure],
    rungs: Mapping[str, Sequence[Rung]],
) -> list[Climb]:
    """Judge each figure, and with them the claim, which is the metric's.

    It is borne out where some figure ranks and the metric's own, the first, tells: a share with a
    threshold may say that a tempo is off, and the mean error beside it by how much.
    """
    verdicts = {name: judge(climbed) for name, climbed in rungs.items()}
    own = next(iter(verdicts.values()))
    ranks = any(verdict.word == RANKED for verdict in verdicts.values())
    borne_out = ranks and own.word in (RANKED, THRESHOLD)
    return [
        Climb(
            metric.name,
            name,
            degradation.name,
            degradation.name in metric.sees,
            borne_out,
            _held_against(metric.needs, figure),
            figure,
            tuple(rungs[name]),
            verdicts[name],
        )
        for name, figure in before.items()
    ]


def _needs_others(needs: Needs) -> bool:
    """Whether a metric holds sets against each other, not clips against their pairs."""
    return needs.reference and not needs.pairs


def _held_against(needs: Needs, figure: Figure) -> str:
    if not figure.against:
        return NOTHING
    return OTHER_CLIPS if _needs_others(needs) else SAME_CLIPS


def _at_most(clips: ClipSet, most: int) -> ClipSet:
    """Give as many clips of a set as `most`, spread evenly."""
    count = len(clips.names)
    if count <= most:
        return clips
    return SomeClips(clips, [clips.names[at * count // most] for at in range(most)], clips.label)


def _check(metric: Metric) -> None:
    if metric.needs.latents:
        raise MetricError(
            f"{metric.name}: needs latents, which degraded sound does not have",
            hint="leave it out of the ladder",
        )
    unknown = sorted(metric.sees - DEGRADATIONS.keys())
    if unknown:
        raise MetricError(
            f"{metric.name}: claims to see {', '.join(unknown)}",
            hint=f"the ladder has {', '.join(DEGRADATIONS)}",
        )


def _quiet(_done: int, _total: int, _name: str) -> None:
    """Report to nobody."""
