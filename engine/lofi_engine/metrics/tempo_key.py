"""Whether clips have the tempo and the key that their prompts ask for, or their pairs have.

Both are estimates of estimates: a figure says more in comparison with another set's, of the same
prompts, than alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lofi_engine.metrics.checks import pair_names
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.expected import PAIRS, Answers, Listening, listen
from lofi_engine.metrics.figures import HIGHER, LOWER, Difference, Figure
from lofi_engine.metrics.key import WEIGHTS, asked_key, hear_key, relation
from lofi_engine.metrics.per_clip import compare_each, measure_each
from lofi_engine.metrics.protocol import Needs, Report
from lofi_engine.metrics.tempo import (
    FURTHEST,
    TOLERANCE,
    AskedTempo,
    agreement,
    asked_tempo,
    hear_tempo,
)

_SPANS = {"tempo": (0.0, 1.0), "tempo-error": (0.0, 100.0 * FURTHEST), "key": (0.0, 1.0)}
"""What a clip can get, by figure."""

_TEMPO: Listening[AskedTempo, float] = Listening(
    "tempo", "74 bpm", asked_tempo, hear_tempo, lambda bpm: AskedTempo(bpm, bpm)
)
_KEY: Listening[str, str] = Listening("key", "A minor", asked_key, hear_key, lambda key: key)


class TempoAgreement:
    """Share of clips whose tempo is within 4 % of the one asked for.

    The second figure, "tempo-error", is by how many percent the faster is faster, octaves apart
    forgiven: from 0 to 41.4, the mean of all clips. The share is blind to less than 4 % and alike
    beyond, the error is neither. A clip without a beat disagrees, and its error is the largest.

    Measured on synthesised tracks of 60 to 120 bpm: of 30 of 20 s the tempo was heard right in 28
    and an octave off in one; of 24 of 12 s in 19, an octave off in two (the tests hold this).
    Those under 66 bpm are what is heard twice as fast.

    Args:
        seed: of the bootstrap.
    """

    name = "tempo"
    title = "share of clips within 4 % of the tempo asked for, or of their pair's; higher is better"
    needs = Needs()
    # No claim: a share with a threshold tells a changed tempo, but not how much it changed.
    sees: frozenset[str] = frozenset()

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure the share that agrees, and the mean error.

        Args:
            judged: what is measured.
            against: its pairs; None, or a set with none of its names, holds it to its prompts.
            report: called after every clip.

        Raises:
            MetricError: no prompt or pair has a tempo, only one does, or a clip has no sound.
        """
        answers = listen(_TEMPO, judged, against, report)
        found = {name: agreement(heard, asked) for name, (asked, heard) in answers.each.items()}
        octaves = sorted(name for name, one in found.items() if one.is_octave_error)
        strict = {name: float(one.is_strict) for name, one in found.items()}
        details = {
            **_details(answers, "no_beat"),
            "tolerance": TOLERANCE,
            "octave_errors": octaves,
            "share_with_octaves": (sum(strict.values()) + len(octaves)) / len(strict),
        }
        errors = {name: 100.0 * one.deviation for name, one in found.items()}
        shared = _shared(judged, against, answers, details, self._seed)
        return (
            _measure("tempo", strict, better=HIGHER, **shared),
            _measure("tempo-error", errors, better=LOWER, unit="%", **shared),
        )

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets clip by clip, both held to the same."""
        return _compare(self, first, second, against, report, self._seed)


class KeyAgreement:
    """Mean MIREX score of the keys: 1 the same, 0.5 a fifth above, 0.3 relative, 0.2 parallel.

    A clip without pitch gets 0. Of 30 synthesised tracks of 20 s the key was heard right in 25; of
    24 of 12 s in 20, the relative or parallel key in three (the tests hold this).

    Args:
        seed: of the bootstrap.
    """

    name = "key"
    title = "MIREX score of the key asked for, or of the pair's, 1 is the same; higher is better"
    needs = Needs()
    sees: frozenset[str] = frozenset()

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure the mean score.

        Args:
            judged: what is measured.
            against: its pairs; None, or a set with none of its names, holds it to its prompts.
            report: called after every clip.

        Raises:
            MetricError: no prompt or pair has a key, only one does, or a clip has no sound.
        """
        answers = listen(_KEY, judged, against, report)
        related = {
            name: relation(heard, asked) if heard else "other"
            for name, (asked, heard) in answers.each.items()
        }
        counts = Counter(related.values())
        details = {
            **_details(answers, "no_pitch"),
            "weights": dict(WEIGHTS),
            "relations": {name: counts.get(name, 0) for name in WEIGHTS},
        }
        scores = {name: WEIGHTS[one] for name, one in related.items()}
        shared = _shared(judged, against, answers, details, self._seed)
        return (_measure("key", scores, better=HIGHER, **shared),)

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets clip by clip, both held to the same."""
        return _compare(self, first, second, against, report, self._seed)


def _compare(
    metric: TempoAgreement | KeyAgreement,
    first: ClipSet,
    second: ClipSet,
    against: ClipSet | None,
    report: Report,
    seed: int,
) -> tuple[Difference, ...]:
    pair_names(first, second)
    figures = [metric.measure(clips, against, report) for clips in (first, second)]
    return tuple(
        compare_each(one, other, graded_span=_SPANS[one.metric], seed=seed)
        for one, other in zip(*figures, strict=True)
    )


def _measure(metric: str, values: Mapping[str, float], **known: Any) -> Figure:
    return measure_each(metric, values, span=_SPANS[metric], graded=True, **known)


def _details(answers: Answers[Any, Any], nothing: str) -> dict[str, Any]:
    """State what clips were held to, and who was left out or had nothing to be heard."""
    return {
        "held_to": answers.by,
        "left_out": sorted(answers.left_out),
        nothing: sorted(name for name, (_, heard) in answers.each.items() if not heard),
        "asked_and_heard": {
            name: [str(asked), heard] for name, (asked, heard) in sorted(answers.each.items())
        },
    }


def _shared(
    judged: ClipSet,
    against: ClipSet | None,
    answers: Answers[Any, Any],
    details: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Give what both figures of a metric say alike."""
    reference = against if answers.by == PAIRS else None
    return {
        "counted": answers.by if answers.by == PAIRS else "clips",
        "judged": judged.label,
        "against": reference.label if reference else "",
        "reference_hash": reference.content_hash() if reference else "",
        "details": details,
        "seed": seed,
    }
