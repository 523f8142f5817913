"""How tight the clips of a style lie, against how far the other styles are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import check_reference
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import HIGHER, Difference, Figure
from lofi_engine.metrics.per_clip import relative_to
from lofi_engine.metrics.protocol import Embedding, Needs, Report
from lofi_engine.metrics.style_sets import (
    StyledSet,
    check_equal_lengths,
    check_styled_pairs,
    embed_styled,
)
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


class StyleConsistency:
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
    needs = Needs(reference=True, styles=True)
    sees: frozenset[str] = frozenset()  # what all styles lose alike does not show

    def __init__(self, embedding: Embedding, *, seed: int = 0) -> None:
        self._embedding = embedding
        self._seed = seed

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure a set's silhouette with 2,000 redraws of its clips.

        Raises:
            MetricError: no reference, or the judged set itself; in either set a clip without a
                style, fewer than two styles or too few clips of one; whatever `embed_set` refuses.
        """
        reference = check_reference(self.name, against)
        _refuse_itself(judged, reference)
        held, styled = embed_styled((reference, judged), self._embedding, report)
        figure, _ = self._figure(styled, held, whiten_within(held))
        return (figure,)

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets of the same prompts and seeds, drawing the same clips of both.

        Raises:
            MetricError: as `measure`; also names, seeds or styles that do not match.
        """
        reference = check_reference(self.name, against)
        check_styled_pairs(first, second)
        _refuse_itself(first, reference)
        _refuse_itself(second, reference)
        held, one, other = embed_styled((reference, first, second), self._embedding, report)
        check_equal_lengths(one, other)
        space = whiten_within(held)
        figure, drawn = self._figure(one, held, space)
        compared, drawn_other = self._figure(other, held, space)
        value = figure.value - compared.value
        return (
            Difference(
                metric=self.name,
                value=value,
                relative=relative_to(value, compared.value),
                interval=interval_by_style(drawn - drawn_other, one),
                n=len(one.names),
                first=figure,
                second=compared,
            ),
        )

    def _figure(
        self, styled: StyledSet, reference: StyledSet, space: Whitening
    ) -> tuple[Figure, npt.NDArray[np.float64]]:
        import numpy as np

        distances = np.sqrt(squared_distances(space.apply(styled)))
        member = membership(styled.style_of)
        each, nearest = silhouettes(distances, member)
        by_style = (each @ member) / member.sum(axis=0)
        drawn = np.array(
            [
                _mean_silhouette(distances, member * counts[:, None])
                for counts in draw_by_style(styled.style_of, self._seed)
            ]
        )
        return (
            Figure(
                metric=self.name,
                value=float(by_style.mean()),
                interval=interval_by_style(drawn, styled),
                n=len(styled.names),
                counted="clips",
                better=HIGHER,
                judged=styled.label,
                against=reference.label,
                reference_hash=reference.content_hash,
                embedding=styled.embedding,
                each={name: float(value) for name, value in zip(styled.names, each, strict=True)},
                details={
                    **styled.details(),
                    "formula": "silhouette, mean over styles",
                    "reference_clips": len(reference.names),
                    "shrinkage": space.shrinkage,
                    "styles": {
                        style: {
                            "silhouette": float(by_style[at]),
                            "nearest": _most(nearest[styled.style_of == at], styled.styles),
                        }
                        for at, style in enumerate(styled.styles)
                    },
                },
            ),
            drawn,
        )


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
