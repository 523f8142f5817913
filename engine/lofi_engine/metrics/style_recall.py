"""How often a clip is heard as the style it was asked for, by a classifier of real music."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import graded_interval, share_interval
from lofi_engine.metrics.checks import check_reference, listed
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import HIGHER, Difference, Figure, Interval
from lofi_engine.metrics.per_clip import relative_to
from lofi_engine.metrics.protocol import Embedding, Needs, Report
from lofi_engine.metrics.style_classifier import StyleClassifier, train_classifier
from lofi_engine.metrics.style_copies import FingerprintedSet, refuse_copies, refuse_known
from lofi_engine.metrics.style_sets import (
    StyledSet,
    check_equal_lengths,
    check_styled_pairs,
    embed_styled,
    names_by_style,
)
from lofi_engine.metrics.style_space import (
    draw_by_style,
    interval_by_style,
    membership,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_ALIKE = "all clips fare alike, redrawn or not"


class StyleRecall:
    """The share of clips that a classifier hears as their own style, mean over styles.

    The classifier (`style_classifier`) learns from the reference set alone: labelled music that the
    judged model did not make, and that holds no judged clip (`style_copies`). Its own recall of
    clips held out and the level of chance stand in the details. Give it one clip of each song: two
    parts of one are no copies, yet one gives the other away when it is held out.

    Args:
        embedding: of the sound.
        seed: of the folds and of the bootstrap.
    """

    name = "style-recall"
    title = "share of clips heard as their own style, mean over styles; higher is better"
    needs = Needs(reference=True, styles=True)
    sees: frozenset[str] = frozenset()  # a classifier may hear a style through much harm

    def __init__(self, embedding: Embedding, *, seed: int = 0) -> None:
        self._embedding = embedding
        self._seed = seed

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure a set's recall.

        Args:
            judged: what is measured.
            against: what the classifier learns from, every clip with its style.
            report: called after every clip.

        Raises:
            MetricError: no training set; in either set a clip without a style, fewer than two
                styles or too few clips of one; a judged style that is not in the training set; a
                judged clip that is, or was generated from the same prompt and seed; a classifier
                that does no better than chance.
        """
        (styled,), classifier = self._trained((judged,), against, report)
        return (self._figure(styled, classifier),)

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets' recall by one classifier, drawing the same clips of both.

        Raises:
            MetricError: as `measure`; also names, seeds, styles or lengths that do not match.
        """
        check_styled_pairs(first, second)
        (one, other), classifier = self._trained((first, second), against, report)
        check_equal_lengths(one, other)
        figure, compared = self._figure(one, classifier), self._figure(other, classifier)
        hits = classifier.hits(one), classifier.hits(other)
        value = figure.value - compared.value
        return (
            Difference(
                metric=self.name,
                value=value,
                relative=relative_to(value, compared.value),
                interval=_difference_interval(one, *hits, self._seed),
                n=len(one.names),
                first=figure,
                second=compared,
            ),
        )

    def _trained(
        self, judged: tuple[ClipSet, ...], against: ClipSet | None, report: Report
    ) -> tuple[tuple[StyledSet, ...], StyleClassifier]:
        reference = check_reference(self.name, against)
        for clips in judged:
            check_training(clips, reference)
        heard, *others = (FingerprintedSet(clips) for clips in (reference, *judged))
        training, *styled = embed_styled((heard, *others), self._embedding, report)
        refuse_copies(training, heard.fingerprints)
        for each, clips in zip(styled, others, strict=True):
            refuse_known(each, clips.fingerprints, training, heard.fingerprints)
        return tuple(styled), train_classifier(training, self._seed)

    def _figure(self, styled: StyledSet, classifier: StyleClassifier) -> Figure:
        hits = classifier.hits(styled)
        recalls = _recalls(styled, hits)
        interval, how = _interval(styled, hits, self._seed)
        training = classifier.training
        return Figure(
            metric=self.name,
            value=float(recalls.mean()),
            interval=interval,
            n=len(styled.names),
            counted="clips",
            better=HIGHER,
            judged=styled.label,
            against=training.label,
            reference_hash=training.content_hash,
            embedding=styled.embedding,
            each={name: float(hit) for name, hit in zip(styled.names, hits, strict=True)},
            details={
                **styled.details(),
                "interval": how,
                "chance": classifier.chance,
                "training_clips": len(training.names),
                "training_recall": classifier.own_recall,
                "training_chance_p": classifier.own_chance,
                "folds": classifier.folds,
                "styles": _table(styled, hits, classifier),
                "confusions": _confusions(styled, classifier),
            },
        )


def check_training(judged: ClipSet, training: ClipSet) -> None:
    """Refuse what cannot be learned from, by its facts alone, without reading any sound.

    Args:
        judged: the set whose styles are to be heard.
        training: labelled clips.

    Raises:
        MetricError: as `names_by_style`, of either set; a judged style that is not in the training
            set; clips of both that were generated from the same prompt and seed.
    """
    _refuse_generated_alike(judged, training)
    unknown = sorted(set(names_by_style(judged)) - set(names_by_style(training)))
    if unknown:
        raise MetricError(
            f"{judged.label}: no clips of {listed(unknown)} to learn from in {training.label}",
            hint="add labelled clips of these styles, or leave the styles out",
        )


def _refuse_generated_alike(clips: ClipSet, training: ClipSet) -> None:
    """Refuse a training set that was generated as the judged one was."""
    made = {facts: name for name in training.names if (facts := _made_from(training, name))}
    alike = [
        f"{name} (as {made[facts]})"
        for name in clips.names
        if (facts := _made_from(clips, name)) in made
    ]
    if alike:
        raise MetricError(
            f"{clips.label}: generated from the same prompt and seed as clips of "
            f"{training.label}: {listed(alike)}",
            hint="train the classifier on labelled recordings, never on a model's output",
        )


def _made_from(clips: ClipSet, name: str) -> tuple[str, int] | None:
    facts = clips.facts(name)
    return (facts.prompt, facts.seed) if facts.prompt and facts.seed is not None else None


def _recalls(styled: StyledSet, hits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    member = membership(styled.style_of)
    recalls: npt.NDArray[np.float64] = (hits @ member) / member.sum(axis=0)
    return recalls


def _drawn_recalls(
    styled: StyledSet, hits: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.float64]:
    member = membership(styled.style_of)
    drawn = (draw_by_style(styled.style_of, seed) * hits) @ member / member.sum(axis=0)
    means: npt.NDArray[np.float64] = drawn.mean(axis=1)
    return means


def _interval(styled: StyledSet, hits: npt.NDArray[np.float64], seed: int) -> tuple[Interval, str]:
    """Give the bootstrap's, or Wilson's where all clips fare alike and redrawing tells nothing."""
    if 0 < hits.sum() < len(hits):
        drawn = _drawn_recalls(styled, hits, seed)
        return interval_by_style(drawn, styled), "bootstrap"
    return graded_interval(hits, (0.0, 1.0), seed), f"Wilson score: {_ALIKE}"


def _difference_interval(
    one: StyledSet,
    hits: npt.NDArray[np.float64],
    other_hits: npt.NDArray[np.float64],
    seed: int,
) -> Interval:
    """Give the paired bootstrap's, or Wilson's where all pairs fare alike."""
    apart = hits - other_hits
    if apart.min() == apart.max():
        return graded_interval(apart, (-1.0, 1.0), seed)
    return interval_by_style(_drawn_recalls(one, apart, seed), one)


def _table(
    styled: StyledSet, hits: npt.NDArray[np.float64], classifier: StyleClassifier
) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for at, style in enumerate(styled.styles):
        own = hits[styled.style_of == at]
        low, high = share_interval(int(own.sum()), len(own))
        table[style] = {
            "recall": float(own.mean()),
            "low": low,
            "high": high,
            "clips": len(own),
            "training_recall": classifier.own_recalls[style],
        }
    return table


def _confusions(styled: StyledSet, classifier: StyleClassifier) -> list[dict[str, Any]]:
    """Give what is heard as another style, the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for at, heard in zip(styled.style_of, classifier.heard(styled), strict=True):
        pair = (styled.styles[at], heard)
        if pair[0] != heard:
            counts[pair] = counts.get(pair, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"style": style, "heard": heard, "clips": n} for (style, heard), n in ordered]
