"""The Fréchet distance beside the usual one, by the matrix square root of scipy in float64.

For 128, 512 and 2048 dimensions: how far the two agree for sets that are far apart, where the usual
way loses nothing; what each gives for sets that are nearly alike, whose distance is known; and how
long each takes. Twice as many windows as dimensions, correlated ones, as embeddings are.

Wanted: agreement to 1e-6, never below zero, and no slower than the square root.

Run alone: python bench/bench_frechet.py [--dims 128 512 2048] [--rounds N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import sqrtm

from lofi_engine.metrics.frechet import frechet_distance

Vectors = npt.NDArray[np.float64]

DIMENSIONS = (128, 512, 2048)
WINDOWS_A_DIMENSION = 2
NEAR = 1e-7
WANTED = 1e-6


@dataclass(frozen=True)
class Row:
    """One line of the table: distances of far and near sets by both ways, and seconds."""

    dimensions: int
    ours: float
    usual: float
    near_ours: float
    near_usual: float
    near_true: float
    ours_sec: float
    usual_sec: float

    @property
    def disagreement(self) -> float:
        """How far the two are apart for sets that are far apart, relative to the usual one."""
        return abs(self.ours - self.usual) / self.usual


def usual_distance(first: Vectors, second: Vectors) -> float:
    """Give the distance as it is written in most places, in float64."""
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    shared = np.trace(sqrtm(one @ other)).real
    return float(shift @ shift + np.trace(one) + np.trace(other) - 2 * shared)


def vectors(dimensions: int, seed: int) -> Vectors:
    """Draw correlated vectors with spreads from 1 down to 0.03."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dimensions, dimensions)) / np.sqrt(dimensions)
    spreads = np.geomspace(1, 0.03, dimensions)
    draws = rng.standard_normal((WINDOWS_A_DIMENSION * dimensions, dimensions)) * spreads
    return draws + draws @ mixing / 2 + seed * 0.1


def timed(distance: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Give a distance and the least of the processor seconds it took."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        value = distance()
        seconds.append(time.process_time() - start)
    return value, min(seconds)


def measure(dimensions: int, rounds: int) -> Row:
    """Fill a row."""
    first, second = vectors(dimensions, 1), vectors(dimensions, 2)
    near = first * (1 + NEAR)  # equal but for a scale: shift and spread are known to the digit
    mean = first.mean(axis=0)
    true = NEAR**2 * float(mean @ mean + np.trace(np.cov(first, rowvar=False)))
    ours, ours_sec = timed(lambda: frechet_distance(first, second), rounds)
    usual, usual_sec = timed(lambda: usual_distance(first, second), rounds)
    return Row(
        dimensions=dimensions,
        ours=ours,
        usual=usual,
        near_ours=frechet_distance(first, near),
        near_usual=usual_distance(first, near),
        near_true=true,
        ours_sec=ours_sec,
        usual_sec=usual_sec,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dims", type=int, nargs="+", default=DIMENSIONS)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{'dims':>5} {'distance':>10} {'apart by':>9} {'near, true':>11} {'near, ours':>11} "
        f"{'near, usual':>12} {'ours s':>7} {'usual s':>8} {'ratio':>6}"
    )
    good = True
    for dimensions in options.dims:
        row = measure(dimensions, options.rounds)
        good &= row.disagreement <= WANTED and row.near_ours >= 0
        print(
            f"{row.dimensions:5} {row.ours:10.4f} {row.disagreement:9.1e} {row.near_true:11.3e} "
            f"{row.near_ours:11.3e} {row.near_usual:12.3e} {row.ours_sec:7.2f} "
            f"{row.usual_sec:8.2f} {row.usual_sec / row.ours_sec:6.1f}",
            flush=True,
        )
    print(f"agreement to {WANTED:g}, never below zero: {'yes' if good else 'NO'}")


if __name__ == "__main__":
    main()
