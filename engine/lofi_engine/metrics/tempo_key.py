"""Whether clips have the tempo and the key that their prompts ask for, or their pairs have.

Both are estimates of estimates: a figure says more in comparison with another set's, of the same
prompts, than alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from lofi_engine.metrics.clip_by_clip import ClipByClip
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.expected import PAIRS, Answers, Heard, Listening, Wanted, listen
from lofi_engine.metrics.figures import HIGHER, LOWER, Figure
from lofi_engine.metrics.key import WEIGHTS, asked_key, hear_key, relation
from lofi_engine.metrics.per_clip import measure_each
from lofi_engine.metrics.protocol import Report
from lofi_engine.metrics.tempo import (
    FURTHEST,
    TOLERANCE,
    AskedTempo,
    agreement,
    asked_tempo,
    hear_tempo,
)


@dataclass(frozen=True)
class _Marks:
    """What clips get, of one figure.

    Args:
        metric: the figure's.
        by_clip: the marks.
        better: LOWER or HIGHER.
        unit: of them.
    """

    metric: str
    by_clip: Mapping[str, float]
    better: str = HIGHER
    unit: str = ""


class _Agreement(ClipByClip, Generic[Wanted, Heard]):
    """Holds what is heard in clips to what their prompts ask for, or their pairs have."""

    listening: Listening[Wanted, Heard]
    without: str
    """Under what the details name clips in which nothing is heard."""

    @abstractmethod
    def mark(
        self, each: Mapping[str, tuple[Wanted, Heard]]
    ) -> tuple[tuple[_Marks, ...], dict[str, Any]]:
        """Mark clips by what they should have and what was heard; add details of the metric."""

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure the mean marks.

        Args:
            judged: what is measured.
            against: its pairs; None, or a set with none of its names, holds it to its prompts.
            report: called after every clip.

        Raises:
            MetricError: no prompt or pair says anything, only one does, or a clip has no sound.
        """
        answers = listen(self.listening, judged, against, report)
        reference = against if answers.by == PAIRS else None
        marks, said = self.mark(answers.each)
        details = {**self._details(answers), **said}
        return tuple(
            measure_each(
                one.metric,
                one.by_clip,
                better=one.better,
                unit=one.unit,
                counted="pairs" if reference else "clips",
                judged=judged.label,
                against=reference.label if reference else "",
                reference_hash=reference.content_hash() if reference else "",
                details=details,
                span=self.graded_spans[one.metric],
                graded=True,
                seed=self._seed,
            )
            for one in marks
        )

    def _details(self, answers: Answers[Wanted, Heard]) -> dict[str, Any]:
        """State what clips were held to, and who was left out or had nothing to be heard."""
        return {
            "held_to": answers.by,
            "left_out": sorted(answers.left_out),
            self.without: sorted(name for name, (_, heard) in answers.each.items() if not heard),
            "asked_and_heard": {
                name: [str(asked), heard] for name, (asked, heard) in sorted(answers.each.items())
            },
        }


class TempoAgreement(_Agreement[AskedTempo, float]):
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
    # It claims nothing of the ladder: a share with a threshold tells a changed tempo,
    # but not how much it changed.
    listening = Listening(
        "tempo", "74 bpm", asked_tempo, hear_tempo, lambda bpm: AskedTempo(bpm, bpm)
    )
    without = "no_beat"
    graded_spans: ClassVar = {"tempo": (0.0, 1.0), "tempo-error": (0.0, 100.0 * FURTHEST)}

    def mark(
        self, each: Mapping[str, tuple[AskedTempo, float]]
    ) -> tuple[tuple[_Marks, ...], dict[str, Any]]:
        """Mark whether the tempo agrees, and how far it is off."""
        found = {name: agreement(heard, asked) for name, (asked, heard) in each.items()}
        octaves = sorted(name for name, one in found.items() if one.is_octave_error)
        strict = {name: float(one.is_strict) for name, one in found.items()}
        errors = {name: 100.0 * one.deviation for name, one in found.items()}
        details = {
            "tolerance": TOLERANCE,
            "octave_errors": octaves,
            "share_with_octaves": (sum(strict.values()) + len(octaves)) / len(strict),
        }
        return (_Marks("tempo", strict), _Marks("tempo-error", errors, LOWER, "%")), details


class KeyAgreement(_Agreement[str, str]):
    """Mean MIREX score of the keys: 1 the same, 0.5 a fifth above, 0.3 relative, 0.2 parallel.

    A clip without pitch gets 0. Of 30 synthesised tracks of 20 s the key was heard right in 25; of
    24 of 12 s in 20, the relative or parallel key in three (the tests hold this).

    Args:
        seed: of the bootstrap.
    """

    name = "key"
    title = "MIREX score of the key asked for, or of the pair's, 1 is the same; higher is better"
    listening = Listening("key", "A minor", asked_key, hear_key, lambda key: key)
    without = "no_pitch"
    graded_spans: ClassVar = {"key": (0.0, 1.0)}

    def mark(
        self, each: Mapping[str, tuple[str, str]]
    ) -> tuple[tuple[_Marks, ...], dict[str, Any]]:
        """Mark how each key is related to the one it should be."""
        related = {
            name: relation(heard, asked) if heard else "other"
            for name, (asked, heard) in each.items()
        }
        counts = Counter(related.values())
        details = {
            "weights": dict(WEIGHTS),
            "relations": {name: counts.get(name, 0) for name in WEIGHTS},
        }
        return (_Marks("key", {name: WEIGHTS[one] for name, one in related.items()}),), details
