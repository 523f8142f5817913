"""How often a clip is heard as the style it was asked for, by a classifier of real music."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import graded_interval, share_interval
from lofi_engine.metrics.checks import listed
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import HIGHER, Figure, Interval
from lofi_engine.metrics.protocol import Report
from lofi_engine.metrics.style_classifier import StyleClassifier, train_classifier
from lofi_engine.metrics.style_copies import FingerprintedSet, refuse_copies, refuse_known
from lofi_engine.metrics.style_metric import Found, StyleMetric
from lofi_engine.metrics.style_sets import StyledSet, embed_styled, names_by_style
from lofi_engine.metrics.style_space import draw_by_style, interval_by_style, membership

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_ALIKE = "all clips fare alike, redrawn or not"


class StyleRecall(StyleMetric[StyleClassifier]):
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
    # It claims nothing of the ladder: a classifier may hear a style through much harm.

    def embed(
        self, judged: tuple[ClipSet, ...], reference: ClipSet, report: Report
    ) -> tuple[tuple[StyledSet, ...], StyleClassifier]:
        """Embed the sets; train the classifier on the reference, every clip with its style.

        Raises:
            MetricError: a judged style that is not in the training set; a judged clip that is, or
                was generated from the same prompt and seed; a classifier that does no better than
                chance; whatever `embed_styled` refuses.
        """
        for clips in judged:
            check_training(clips, reference)
        heard, *others = (FingerprintedSet(clips) for clips in (reference, *judged))
        training, *styled = embed_styled((heard, *others), self._embedding, report)
        refuse_copies(training, heard.fingerprints)
        for each, clips in zip(styled, others, strict=True):
            refuse_known(each, clips.fingerprints, training, heard.fingerprints)
        return tuple(styled), train_classifier(training, self._seed)

    def judge(self, styled: StyledSet, rule: StyleClassifier) -> tuple[Found, ...]:
        """Give a set's recall, and which clips were heard as their own style."""
        hits = rule.hits(styled)
        recalls = _recalls(styled, hits)
        interval, how = _interval(styled, hits, self._seed)
        training = rule.training
        figure = Figure(
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
                "chance": rule.chance,
                "training_clips": len(training.names),
                "training_recall": rule.own_recall,
                "training_chance_p": rule.own_chance,
                "folds": rule.folds,
                "styles": _table(styled, hits, rule),
                "confusions": _confusions(styled, rule),
            },
        )
        return (Found(figure, hits),)

    def apart(self, styled: StyledSet, values: npt.NDArray[np.float64]) -> Interval:
        """Give the paired bootstrap's interval, or Wilson's where all pairs fare alike."""
        if values.min() == values.max():
            return graded_interval(values, (-1.0, 1.0), self._seed)
        return interval_by_style(_drawn_recalls(styled, values, self._seed), styled)


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
