"""How tight the clips of a style lie, against how far the other styles are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import HIGHER, Figure
from lofi_engine.metrics.protocol import Report
from lofi_engine.metrics.style_metric import Found, StyleMetric
from lofi_engine.metrics.style_sets import StyledSet, embed_styled
from lofi_engine.metrics.style_space import (
    Whitening,
    draw_by_style,
    interval_by_style,
    membership,
    squared_distances,
    whiten_within,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class _Scale:
    """What says how far apart is far.

    Args:
        reference: the set it is of.
        space: its whitening.
    """

    reference: StyledSet
    space: Whitening


class StyleConsistency(StyleMetric[_Scale]):
    """The silhouette of styles, the mean over styles of the mean over their clips.

    A clip's silhouette is (b - a) / max(a, b): a its mean distance to the other clips of its style,
    b to the clips of the nearest other style (Rousseeuw 1987, "Silhouettes: a graphical aid to the
    interpretation and validation of cluster analysis"). 1: styles are points far apart; 0: styles
    do not differ; below: clips lie nearer to another style. Distances are Euclidean between clips'
    mean vectors, whitened by the covariance within the styles of the reference, so that two
    judged sets are measured with one rule that neither made.

    A silhouette near 1 is no praise by itself: every style may be one clip. `StyleCollapse` tells.

    Args:
        embedding: of the sound.
        seed: of the bootstrap.
    """

    name = "style-consistency"
    title = "how tight a style's clips lie against the nearest other style; higher is better"
    # It claims nothing of the ladder: what all styles lose alike does not show.

    def embed(
        self, judged: tuple[ClipSet, ...], reference: ClipSet, report: Report
    ) -> tuple[tuple[StyledSet, ...], _Scale]:
        """Embed the sets; whiten by the reference.

        Raises:
            MetricError: the reference is a judged set itself; whatever `embed_styled` refuses.
        """
        for clips in judged:
            _refuse_itself(clips, reference)
        held, *styled = embed_styled((reference, *judged), self._embedding, report)
        return tuple(styled), _Scale(held, whiten_within(held))

    def judge(self, styled: StyledSet, rule: _Scale) -> tuple[Found, ...]:
        """Give a set's silhouette with 2,000 redraws of its clips."""
        import numpy as np

        distances = np.sqrt(squared_distances(rule.space.apply(styled)))
        member = membership(styled.style_of)
        each, nearest = silhouettes(distances, member)
        by_style = (each @ member) / member.sum(axis=0)
        drawn = np.array(
            [
                _mean_silhouette(distances, member * counts[:, None])
                for counts in draw_by_style(styled.style_of, self._seed)
            ]
        )
        figure = Figure(
            metric=self.name,
            value=float(by_style.mean()),
            interval=interval_by_style(drawn, styled),
            n=len(styled.names),
            counted="clips",
            better=HIGHER,
            judged=styled.label,
            against=rule.reference.label,
            reference_hash=rule.reference.content_hash,
            embedding=styled.embedding,
            each={name: float(value) for name, value in zip(styled.names, each, strict=True)},
            details={
                **styled.details(),
                "formula": "silhouette, mean over styles",
                "reference_clips": len(rule.reference.names),
                "shrinkage": rule.space.shrinkage,
                "styles": {
                    style: {
                        "silhouette": float(by_style[at]),
                        "nearest": _most(nearest[styled.style_of == at], styled.styles),
                    }
                    for at, style in enumerate(styled.styles)
                },
            },
        )
        return (Found(figure, drawn),)


def _refuse_itself(judged: ClipSet, reference: ClipSet) -> None:
    if judged.content_hash() == reference.content_hash():
        raise MetricError(
            f"{judged.label}: held against itself ({reference.label}): a set lies too tight when "
            "it sets its own scale",
            hint="give other labelled clips as the reference",
        )


def silhouettes(
    distances: npt.NDArray[np.float64], weighted: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Give every clip's silhouette and its nearest other style.

    A clip drawn more than once is no neighbour of itself.

    Args:
        distances: (clips, clips).
        weighted: (clips, styles), how often each clip counts in its style.

    Returns:
        float64 (clips,), zero where a and b are (all its neighbours and it are the same) and for
        clips that count nothing; int64 (clips,).
    """
    import numpy as np

    own = weighted.argmax(axis=1)
    rows = np.arange(len(own))
    times = weighted[rows, own]
    counts = weighted.sum(axis=0)
    sums = distances @ weighted
    within = sums[rows, own] / np.maximum(counts[own] - times, 1)
    means = sums / counts
    means[rows, own] = np.inf
    nearest = means.argmin(axis=1)
    between = means[rows, nearest]
    largest = np.maximum(within, between)
    values = np.divide(between - within, largest, out=np.zeros_like(within), where=largest > 0)
    values[times == 0] = 0.0
    return values, nearest


def _mean_silhouette(
    distances: npt.NDArray[np.float64], weighted: npt.NDArray[np.float64]
) -> float:
    values, _ = silhouettes(distances, weighted)
    return float(((values @ weighted) / weighted.sum(axis=0)).mean())


def _most(nearest: npt.NDArray[np.int64], styles: tuple[str, ...]) -> str:
    import numpy as np

    return styles[int(np.bincount(nearest, minlength=len(styles)).argmax())]
