"""Finds clips that a classifier has been told already, and training clips that are one sound.

Two looks, as neither sees all: the recordings' fingerprints (`lofi_engine.data.duplicates`) know a
clip that was encoded again, trimmed, made louder or moved in pitch, but need eight seconds; vectors
that lie at about the same place are one sound however short it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lofi_engine.data.duplicates import near_duplicates
from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import listed
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipSet
from lofi_engine.metrics.style_sets import StyledSet
from lofi_engine.metrics.style_space import scale_within

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.audio.fingerprint import Fingerprint

SAME_WITHIN = 0.05
"""Clips this close, as a share of the usual distance to the nearest other clip, are one sound."""


class FingerprintedSet:
    """A set that draws every clip's fingerprint as it is read, so that it is read but once.

    Args:
        clips: the set.
    """

    def __init__(self, clips: ClipSet) -> None:
        self._clips = clips
        self._drawn: dict[str, Fingerprint] = {}

    @property
    def label(self) -> str:
        """How errors call the set."""
        return self._clips.label

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names, sorted."""
        return self._clips.names

    @property
    def fingerprints(self) -> Mapping[str, Fingerprint]:
        """Of the clips read so far, by name."""
        return self._drawn

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip."""
        return self._clips.facts(name)

    def clip(self, name: str) -> Clip:
        """Read a clip and draw its fingerprint, unless its samples are such as checks refuse."""
        import numpy as np

        from lofi_engine.audio.fingerprint import fingerprint

        clip = self._clips.clip(name)
        sound = clip.samples.ndim == 2 and clip.samples.size and np.isfinite(clip.samples).all()
        if sound and name not in self._drawn:
            self._drawn[name] = fingerprint(clip.samples, clip.sample_rate)
        return clip

    def content_hash(self) -> str:
        """Give the set's."""
        return self._clips.content_hash()


def refuse_copies(training: StyledSet, drawn: Mapping[str, Fingerprint]) -> None:
    """Refuse a training set that holds a sound twice: held out, one would give the other away.

    Args:
        training: the set.
        drawn: its clips' fingerprints.

    Raises:
        MetricError: names the clips.
    """
    import numpy as np

    vectors = training.vectors / scale_within(training)
    close = _distances(vectors, vectors) <= SAME_WITHIN * _usual_distance(vectors)
    rows, columns = np.nonzero(np.triu(close, 1))
    names = training.names
    copies = {(names[one], names[other]) for one, other in zip(rows, columns, strict=True)}
    copies |= {(group[0], name) for group in near_duplicates(drawn) for name in group[1:]}
    if copies:
        raise MetricError(
            f"{training.label}: the same sound twice: "
            f"{listed(f'{one} and {other}' for one, other in sorted(copies))}",
            hint="keep one of each: what is learned from one gives the other away",
        )


def refuse_known(
    judged: StyledSet,
    judged_drawn: Mapping[str, Fingerprint],
    training: StyledSet,
    training_drawn: Mapping[str, Fingerprint],
) -> None:
    """Refuse judged clips whose sound is in the training set: the same, or a memorised one.

    Args:
        judged: the set.
        judged_drawn: its clips' fingerprints.
        training: what the classifier is trained on.
        training_drawn: its clips' fingerprints.

    Raises:
        MetricError: names the clips.
    """
    known = _close(judged, training) | _alike(judged_drawn, training_drawn)
    if known:
        raise MetricError(
            f"{judged.label}: the classifier would be asked what it was told: "
            f"{listed(f'{name} (as {known[name]})' for name in sorted(known))} of "
            f"{training.label}",
            hint="train it on clips that are not judged",
        )


def _close(judged: StyledSet, training: StyledSet) -> dict[str, str]:
    """Give each judged clip that lies about where a training clip does, with that one."""
    scale = scale_within(training)
    own = training.vectors / scale
    distances = _distances(judged.vectors / scale, own)
    limit = SAME_WITHIN * _usual_distance(own)
    nearest = distances.argmin(axis=1)
    return {
        name: training.names[at]
        for name, at, distance in zip(judged.names, nearest, distances.min(axis=1), strict=True)
        if distance <= limit
    }


def _alike(
    judged: Mapping[str, Fingerprint], training: Mapping[str, Fingerprint]
) -> dict[str, str]:
    """Give each judged clip whose recording is a training clip's, with the first such."""
    known: dict[str, str] = {}
    # Keys of two sets may be equal: a sign tells them apart.
    both = {f"?{name}": drawn for name, drawn in judged.items()}
    both |= {f"!{name}": drawn for name, drawn in training.items()}
    for group in near_duplicates(both):
        told = [name[1:] for name in group if name.startswith("!")]
        known |= {name[1:]: told[0] for name in group if told and name.startswith("?")}
    return known


def _distances(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    import numpy as np
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(first, second))


def _usual_distance(vectors: npt.NDArray[np.float64]) -> float:
    """Give the median over clips of the distance to the nearest other."""
    import numpy as np

    distances = _distances(vectors, vectors)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))
