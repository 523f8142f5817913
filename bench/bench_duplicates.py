"""Measures how far apart copies and strangers are, and what a thousand tracks cost.

    python bench/bench_duplicates.py [--seconds 20] [--all-pairs]

Copies: a track of every third style against itself after each change of
`tests.support.recordings.CHANGES`. Strangers: three tracks of each of the 38 styles, two of them
from the same words. The threshold must stand between the two.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lofi_engine.audio.fingerprint import fingerprint
from lofi_engine.audio.likeness import likeness
from lofi_engine.data.duplicates import SAME_FROM, near_duplicates
from lofi_runtime.styles.taxonomy import load_styles
from tests.support.recordings import CHANGES, SAMPLE_RATE, play

TRACKS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each track")
    parser.add_argument("--all-pairs", action="store_true", help="strangers of all styles too")
    asked = parser.parse_args()
    lowest = copies(asked.seconds)
    prints = strangers(asked.seconds)
    highest = widest(prints, asked.all_pairs)
    print(f"copies from {lowest:.3f} up, strangers to {highest:.3f}, one from {SAME_FROM}")
    print(f"joined among strangers: {near_duplicates(prints) or 'none'}")
    cost(list(prints.values()))


def copies(seconds: float) -> float:
    found = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for style_id in list(load_styles())[::3]:
            sound = play(style_id, 1, seconds)
            mine = fingerprint(sound, SAMPLE_RATE)
            for name, change in CHANGES.items():
                other = fingerprint(*change(sound, Path(folder)))
                found[name].append(likeness(mine, other))
            play.cache_clear()
    print(f"{'copy':40} {'lowest':>8} {'median':>8}")
    for name, values in found.items():
        print(f"{name:40} {min(values):8.3f} {np.median(values):8.3f}")
    return min(min(values) for values in found.values())


def strangers(seconds: float) -> dict[str, np.ndarray]:
    prints = {}
    for style_id in load_styles():
        for seed, words in ((1, 1), (2, 1), (3, 3)):
            sound = play(style_id, seed, seconds, words)
            prints[f"{style_id}/{seed}"] = fingerprint(sound, SAMPLE_RATE)
        play.cache_clear()
    return prints


def widest(prints: dict[str, np.ndarray], all_pairs: bool) -> float:
    pairs = [
        (likeness(prints[one], prints[other]), one, other)
        for one, other in combinations(prints, 2)
        if all_pairs or one.split("/")[0] == other.split("/")[0]
    ]
    print(f"{len(pairs)} pairs of strangers, the most alike:")
    for value, one, other in sorted(pairs, reverse=True)[:5]:
        print(f"{one + ' ' + other:40} {value:8.3f}")
    return max(pairs)[0]


def cost(prints: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    for seconds in (60, 180):
        made = {}
        for number in range(TRACKS):
            parts = [
                np.roll(prints[at][:100], rng.integers(72), axis=1)
                for at in rng.integers(len(prints), size=seconds // 10)
            ]
            made[str(number)] = np.concatenate(parts)
        start = time.process_time()
        near_duplicates(made)
        print(f"{TRACKS} tracks of {seconds} s: {time.process_time() - start:.1f} s of processor")


if __name__ == "__main__":
    main()
