"""How much faster than real time the synthesiser is on one core, style by style.

Run alone: python bench/bench_synth.py [seconds of each track]
Tell styles apart instead: python bench/bench_synth.py --classify

The first prints processor time, all threads of the process counted, and fails where the slowest
style is below the floor. The second learns every style from four seeds, hears two others, and
prints how often the nearest one is right.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import VERSION, compose, render

FLOOR = 40.0
TRACK_SEC = 30
SEED = 1
KNOWN_SEEDS, NEW_SEEDS = (1, 2, 3, 4), (5, 6)
CLIP_SEC = 16


def ratio(style_id: str, duration_sec: int) -> float:
    """Give seconds of sound for each second of processor time, composing included."""
    clock = time.process_time()
    render(compose("", seed=SEED, duration_sec=float(duration_sec), style=style_id))
    return duration_sec / (time.process_time() - clock)


def speed(duration_sec: int) -> int:
    styles = load_styles()
    ratio("CORE-01", 5)  # imports and filter designs are paid once
    found = {style_id: ratio(style_id, duration_sec) for style_id in styles}
    print(f"synthesiser version {VERSION}, {duration_sec} s of each style, seed {SEED}")
    print("| style | times real time |")
    print("|---|---|")
    for style_id, times in sorted(found.items(), key=lambda item: item[1]):
        print(f"| {style_id} {styles[style_id].name} | {times:.0f}x |")
    mean = len(found) / sum(1.0 / times for times in found.values())
    slowest = min(found, key=lambda style_id: found[style_id])
    print(f"all styles together {mean:.0f}x, slowest {slowest} {found[slowest]:.0f}x")
    print(f"floor {FLOOR:.0f}x: {'held' if found[slowest] >= FLOOR else 'MISSED'}")
    return 0 if found[slowest] >= FLOOR else 1


def classify() -> int:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.synth_hearing import NearestCentroid, features

    def heard(style_id: str, seed: int) -> object:
        return features(render(compose("", seed=seed, duration_sec=CLIP_SEC, style=style_id)))

    styles = tuple(load_styles())
    judge = NearestCentroid({s: [heard(s, seed) for seed in KNOWN_SEEDS] for s in styles})
    ranks = {(s, seed): judge.rank(heard(s, seed)) for s in styles for seed in NEW_SEEDS}
    first = sum(rank[0] == style for (style, _), rank in ranks.items()) / len(ranks)
    three = sum(style in rank[:3] for (style, _), rank in ranks.items()) / len(ranks)
    for (style, seed), rank in ranks.items():
        if rank[0] != style:
            print(f"{style} seed {seed} was taken for {rank[0]}")
    print(f"{len(styles)} styles, {len(ranks)} clips of {CLIP_SEC} s with seeds never heard")
    print(f"nearest is right {first:.1%}, among three {three:.1%}, chance {1 / len(styles):.1%}")
    return 0


def main() -> int:
    if "--classify" in sys.argv[1:]:
        return classify()
    return speed(int(sys.argv[1]) if len(sys.argv) > 1 else TRACK_SEC)


if __name__ == "__main__":
    sys.exit(main())
