"""Sees to it that there are windows enough for the dimensions: a covariance needs them.

A covariance of d dimensions from fewer than d windows is singular, and from fewer than 2 d mostly
noise. Where there are fewer, the sets are refused, or looked at from fewer directions: a fixed
random orthonormal matrix, the same for every data set, so that nothing about the sets is fitted.
Distances in different numbers of directions compare with each other as little as distances of
different embeddings; hence the embedding's name gets the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import plural
from lofi_engine.metrics.embedded import EmbeddedSet, check_spread

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WINDOWS_A_DIMENSION = 2
FEWEST_DIRECTIONS = 4
"""Fewer say too little of a sound: a set of under 8 windows is refused in any case."""


def enough_windows(
    sets: Sequence[EmbeddedSet], *, project: bool = False, seed: int = 0, directions: int = 0
) -> tuple[EmbeddedSet, ...]:
    """Give sets with at least twice as many windows as dimensions, projected where needed.

    Args:
        sets: embedded by one embedding; all are projected alike, or none.
        project: whether too few windows are answered by a projection instead of an error.
        seed: of the projection.
        directions: how many to project on; 0 for half of the windows of the smallest set, and none
            at all where the windows suffice.

    Returns:
        The sets as they are, or with projected vectors and "/random-32" after the embedding's name.

    Raises:
        MetricError: too few windows, even for the projection; or sets of different embeddings.
    """
    _check_one_embedding(sets)
    smallest = min(sets, key=lambda embedded: embedded.windows)
    dimensions = smallest.dimensions
    if not directions and smallest.windows >= WINDOWS_A_DIMENSION * dimensions:
        return tuple(sets)
    most = min(dimensions, smallest.windows // WINDOWS_A_DIMENSION)
    if not (project or directions):
        raise _too_few(smallest, dimensions, most)
    wanted = directions or most
    if wanted > most or wanted < FEWEST_DIRECTIONS:
        raise _too_few(smallest, max(wanted, FEWEST_DIRECTIONS), 0)
    return tuple(projected(embedded, wanted, seed) for embedded in sets)


def projected(embedded: EmbeddedSet, directions: int, seed: int = 0) -> EmbeddedSet:
    """Give a set's vectors as seen from random directions.

    Args:
        embedded: the set.
        directions: how many.
        seed: of the directions.

    Raises:
        MetricError: the vectors are all alike from there.
    """
    matrix = random_directions(embedded.dimensions, directions, seed)
    vectors = {name: found @ matrix for name, found in embedded.vectors.items()}
    suffix = f"/random-{directions}" + (f"-seed-{seed}" if seed else "")
    name = embedded.embedding_name + suffix
    found = replace(embedded, vectors=vectors, embedding_name=name)
    check_spread(found)
    return found


def random_directions(dimensions: int, directions: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Give orthonormal random directions, (dimensions, directions); the first of many are the few.

    Uniformly distributed (Mezzadri 2007): normal draws, made orthonormal, signs from the triangle.
    """
    import numpy as np

    draws = np.random.default_rng(seed).standard_normal((directions, dimensions)).T
    orthonormal, triangle = np.linalg.qr(draws)
    signs = np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    found: npt.NDArray[np.float64] = orthonormal * signs
    return found


def _check_one_embedding(sets: Sequence[EmbeddedSet]) -> None:
    first = sets[0]
    for other in sets[1:]:
        if (other.embedding_name, other.dimensions) != (first.embedding_name, first.dimensions):
            raise MetricError(
                f"{first.label} is embedded by {first.embedding_name} in {first.dimensions} "
                f"dimensions, {other.label} by {other.embedding_name} in {other.dimensions}",
                hint="embed both sets with one model",
            )


def _too_few(embedded: EmbeddedSet, dimensions: int, possible: int) -> MetricError:
    hint = "use more or longer clips"
    if possible >= FEWEST_DIRECTIONS:
        hint += f", or pass --project to look at {possible} random directions of them"
    return MetricError(
        f"{embedded.label}: {plural(embedded.windows, 'window')} of {embedded.window_sec:g} s "
        f"for {dimensions} dimensions, at least {WINDOWS_A_DIMENSION * dimensions} are needed",
        hint=hint,
    )
