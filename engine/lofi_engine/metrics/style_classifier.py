"""A classifier of styles that knows how well it does itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.style_sets import StyledSet
from lofi_engine.metrics.style_space import membership

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FOLDS = 5
_PERMUTATIONS = 999
_SIGNIFICANT = 0.02
"""Held-out clips share their teachers, so that a little more luck passes than this says: of sets
labelled by lot, under one in twenty."""


@dataclass(frozen=True)
class StyleClassifier:
    """Linear discriminant analysis of clips' mean vectors, equal priors.

    Its covariance is shrunk by Ledoit and Wolf's rule (scikit-learn's `shrinkage="auto"`), so that
    it can be learned from fewer clips than there are dimensions.

    Args:
        model: fitted on the whole training set.
        training: what it was trained on.
        own_recalls: by style, of its own training clips when they were held out.
        own_chance: the chance of such recalls, were styles dealt to the clips at random.
        folds: of the cross-validation; every clip is in one, with all its windows.
    """

    model: Any
    training: StyledSet
    own_recalls: dict[str, float]
    own_chance: float
    folds: int

    @property
    def chance(self) -> float:
        """The recall of guessing."""
        return 1 / len(self.training.styles)

    @property
    def own_recall(self) -> float:
        """The mean over styles of `own_recalls`."""
        return sum(self.own_recalls.values()) / len(self.own_recalls)

    def heard(self, styled: StyledSet) -> tuple[str, ...]:
        """Give the style that each clip is heard as."""
        return tuple(self.training.styles[at] for at in self.model.predict(styled.vectors))

    def hits(self, styled: StyledSet) -> npt.NDArray[np.float64]:
        """Give 1 for each clip that is heard as its own style, else 0."""
        import numpy as np

        pairs = zip(styled.style_of, self.heard(styled), strict=True)
        return np.array([float(styled.styles[at] == heard) for at, heard in pairs])


def train_classifier(training: StyledSet, seed: int) -> StyleClassifier:
    """Train on a labelled set, after a cross-validation that says whether it is worth it.

    Args:
        training: the set, no sound in it twice (`style_copies.refuse_copies`).
        seed: of the folds and of the permutations.

    Raises:
        MetricError: styles are told apart no better than chance.
    """
    folds = min(FOLDS, int(membership(training.style_of).sum(axis=0).min()))
    heard = _held_out(training, folds, seed)
    recalls, chance = _recalls_by_chance(training.style_of, heard, seed)
    classifier = StyleClassifier(
        model=_model(len(training.styles)).fit(training.vectors, training.style_of),
        training=training,
        own_recalls=dict(zip(training.styles, recalls, strict=True)),
        own_chance=chance,
        folds=folds,
    )
    if chance > _SIGNIFICANT:
        raise MetricError(
            f"{training.label}: a classifier tells its {len(training.styles)} styles apart no "
            f"better than chance: recall {classifier.own_recall:.2f} of clips held out, "
            f"{classifier.chance:.2f} by guessing (p = {chance:.2f})",
            hint="label more clips, or use another embedding",
        )
    return classifier


def _model(styles: int) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[1 / styles] * styles)


def _held_out(training: StyledSet, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Give the style each training clip is heard as by a model that never saw it."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    model = _model(len(training.styles))
    heard = cross_val_predict(model, training.vectors, training.style_of, cv=split)
    return np.asarray(heard, np.int64)


def _recalls_by_chance(
    style_of: npt.NDArray[np.int64], heard: npt.NDArray[np.int64], seed: int
) -> tuple[list[float], float]:
    """Give recall by style, and the chance of their mean by a permutation test of the labels."""
    import numpy as np

    member = membership(style_of)
    counts = member.sum(axis=0)
    by_style = ((heard == style_of) @ member) / counts
    rng = np.random.default_rng(seed)
    dealt = rng.permuted(np.tile(style_of, (_PERMUTATIONS, 1)), axis=1)
    # Of a mean over styles, each clip right counts one over its style's clips.
    reached = ((dealt == heard) / counts[dealt]).sum(axis=1) >= by_style.sum() - 1e-9
    chance = (1 + int(reached.sum())) / (1 + _PERMUTATIONS)
    return [float(recall) for recall in by_style], chance
