"""Style collapse: styles that drift into one another, and styles that become one clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import listed
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import HIGHER, Figure, Interval
from lofi_engine.metrics.protocol import Embedding, Needs, Report
from lofi_engine.metrics.style_losses import BETWEEN, WITHIN, Kind, kept, lost, root_mean
from lofi_engine.metrics.style_metric import Found, StyleMetric
from lofi_engine.metrics.style_sets import (
    StyledSet,
    check_equal_lengths,
    check_styled_pairs,
    embed_styled,
)
from lofi_engine.metrics.style_space import (
    chance_apart,
    draw_by_style,
    interval_by_style,
    membership,
    scale_within,
    squared_distances,
    styles_apart,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHARE = 0.9
"""What must be left of the base's. With six clips a style two draws of one generator fail in 1 case
of 40; held to all of it they would in 5, since few clips tell a small drop from chance badly."""
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class _Measured:
    """A set's squared distances, as found and as redrawn; all sets are drawn with the same clips.

    Args:
        styled: the set.
        squared: (clips, clips).
        found: (styles, styles), of `styles_apart`.
        drawn: (resamples, styles, styles).
    """

    styled: StyledSet
    squared: npt.NDArray[np.float64]
    found: npt.NDArray[np.float64]
    drawn: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Base:
    """What sets are held against.

    Args:
        measured: the base.
        scale: (dimensions,), of the base and all that is held against it.
    """

    measured: _Measured
    scale: npt.NDArray[np.float64]


class StyleCollapse(StyleMetric[_Base]):
    """What is left of the base's distance between styles, and of its diversity within one.

    Two figures, each a share of the base's at the same prompts and seeds: 1 is as much as the base
    has. Distances are Euclidean between clips' mean vectors, each dimension in its deviation within
    styles, and root mean square over styles: between two, the distance of their means without the
    bias of few clips (`styles_apart`); within one, that of two of its clips.

    A figure fails, `details["failed"]`, when its paired-bootstrap interval lies below `share`, or
    when a single style's (or pair of styles') does, all of them bounded together so that many
    styles raise no false alarm (`style_losses`). `details["text"]` says so in words, and
    `details["lost"]` names them.

    Args:
        embedding: of the sound.
        share: of the base's that must be left.
        seed: of the bootstrap.

    Raises:
        MetricError: `share` is not above 0 and at most 1.
    """

    name = "style-collapse"
    title = (
        "distance between styles, diversity within one, as shares of the base's; higher is better"
    )
    needs = Needs(reference=True, pairs=True, styles=True)
    # It claims nothing of the ladder: what harms every clip alike leaves styles apart.

    def __init__(self, embedding: Embedding, *, share: float = SHARE, seed: int = 0) -> None:
        if not 0 < share <= 1:
            raise MetricError(
                f"{self.name}: a share of {share} to keep", hint="give one above 0 and at most 1"
            )
        super().__init__(embedding, seed=seed)
        self._share = share

    def embed(
        self, judged: tuple[ClipSet, ...], reference: ClipSet, report: Report
    ) -> tuple[tuple[StyledSet, ...], _Base]:
        """Embed the sets and the base's clips of the same names, prompts, seeds and styles.

        Raises:
            MetricError: pairs whose styles or lengths do not match; a base that has nothing to
                lose: styles no farther apart than chance, or clips of a style that are all the
                same; whatever `embed_styled` refuses.
        """
        for clips in judged:
            check_styled_pairs(clips, reference)
        held, *styled = embed_styled((reference, *judged), self._embedding, report)
        for each in styled:
            check_equal_lengths(each, held)
        scale = scale_within(held, *styled)
        base = self._distances(held, scale)
        _check_base(base, self._seed)
        return tuple(styled), _Base(base, scale)

    def judge(self, styled: StyledSet, rule: _Base) -> tuple[Found, ...]:
        """Give the shares of the base's distance and of its diversity that are left."""
        measured = self._distances(styled, rule.scale)
        return tuple(self._found(kind, measured, rule.measured) for kind in (BETWEEN, WITHIN))

    def _distances(self, styled: StyledSet, scale: npt.NDArray[np.float64]) -> _Measured:
        import numpy as np

        squared = squared_distances(styled.vectors / scale)
        member = membership(styled.style_of)
        drawn = [
            styles_apart(squared, member * counts[:, None])
            for counts in draw_by_style(styled.style_of, self._seed)
        ]
        return _Measured(styled, squared, styles_apart(squared, member), np.stack(drawn))

    def _found(self, kind: Kind, judged: _Measured, base: _Measured) -> Found:
        found, of_base = kind.entries(judged.found), kind.entries(base.found)
        value = float(kept(found, of_base))
        drawn = kept(kind.entries(judged.drawn), kind.entries(base.drawn))
        interval = interval_by_style(drawn, base.styled)
        below = lost(
            found, of_base, kind.entries(judged.drawn), kind.entries(base.drawn), self._share
        )
        labels = kind.labels(judged.styled.styles)
        gone = [label for label, is_lost in zip(labels, below, strict=True) if is_lost]
        figure = Figure(
            metric=kind.metric,
            value=value,
            interval=interval,
            n=len(judged.styled.names),
            counted="pairs",
            better=HIGHER,
            judged=judged.styled.label,
            against=base.styled.label,
            reference_hash=base.styled.content_hash,
            embedding=judged.styled.embedding,
            details={
                **judged.styled.details(),
                "failed": interval.high < self._share or bool(gone),
                "text": self._text(kind, value, interval, base.styled.label, gone),
                "share": self._share,
                "distance": float(root_mean(found)),
                "base_distance": float(root_mean(of_base)),
                "lost": gone,
                "each": _each(labels, found, of_base),
            },
        )
        return Found(figure, drawn)

    def _text(
        self, kind: Kind, value: float, interval: Interval, base: str, gone: list[str]
    ) -> str:
        said = f"{kind.title}: {value:.2f} of {base}'s ({interval.low:.2f} to {interval.high:.2f})"
        if interval.high < self._share:
            return f"collapsed: {said}, below {self._share:g}"
        if gone:
            return f"collapsed in part: {said}, but below {self._share:g} for {listed(gone)}"
        return said


def _check_base(base: _Measured, seed: int) -> None:
    # Few styles of few clips pass the one or the other by luck too often.
    between = BETWEEN.entries(base.drawn).mean(axis=-1)
    if (
        interval_by_style(between, base.styled).low <= 0
        or chance_apart(base.squared, base.styled.style_of, seed) > _SIGNIFICANT
    ):
        raise MetricError(
            f"{base.styled.label}: the base's own styles lie no farther apart than chance, so "
            "there is nothing to lose",
            hint="give more clips of each style, or use another embedding",
        )
    diversity = WITHIN.entries(base.found)
    for style, within in zip(base.styled.styles, diversity, strict=True):
        if within <= 0:
            raise MetricError(
                f"{base.styled.label}: the base's clips of {style} all sound the same, so there "
                "is nothing to lose",
                hint="generate them with different seeds",
            )


def _each(
    labels: list[str], found: npt.NDArray[np.float64], base: npt.NDArray[np.float64]
) -> dict[str, dict[str, Any]]:
    """Give every style's, or pair of styles', distance and the base's."""
    import numpy as np

    return {
        label: {"distance": float(distance), "base_distance": float(of_base)}
        for label, distance, of_base in zip(
            labels, np.sqrt(np.maximum(found, 0)), np.sqrt(np.maximum(base, 0)), strict=True
        )
    }
