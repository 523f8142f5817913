"""How long scoring 50 clips of 20 s with the built-in embedding takes, from files to a distance.

    python bench/bench_embedding.py [--clips 50] [--seconds 20] [--cores 2]
    python bench/bench_embedding.py --scales > engine/lofi_engine/metrics/embeddings/sound_scales.py

The first writes two folders of synthesised WAV files (not timed), then reads, checks and embeds
both, and gives the Fréchet distance with its interval and its extrapolation. It fails at the limit
of 60 s. The second measures every dimension's mean and spread over three tracks of 20 s of every
style and prints the file that keeps them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import VERSION, compose, render

LIMIT_SEC = 60.0
SAMPLE_RATE = 48_000
SCALE_SEEDS, SCALE_SEC = (1, 2, 3), 20
# The synthesiser plays every track equally loud and in tune, which music is not.
CHOSEN_SPREADS = {"loudness": 6.0, "tuning-in": 0.25, "tuning-off": 0.25}
HEAD = '''"""Means and spreads of the measured properties over lofi music, found once and kept.

They were measured by `bench/bench_embedding.py --scales` over every window of three tracks of 20 s
of each of the {styles} styles ({windows} windows), made by the synthesiser, version {version}.

The spreads of loudness and tuning are chosen, not measured: the synthesiser plays every track
equally loud and at A 440, which other music is not.

Changing one changes what every Fréchet distance means: give the embedding a new version with it.
"""

from __future__ import annotations

SCALES: dict[str, tuple[float, float]] = {{'''


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each clip")
    parser.add_argument("--cores", type=int, default=2, help="how many the process may use")
    parser.add_argument("--scales", action="store_true", help="print the scales instead")
    asked = parser.parse_args()
    if asked.scales:
        return scales()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: asked.cores]))
    with tempfile.TemporaryDirectory() as folder:
        judged, reference = (Path(folder) / name for name in ("judged", "reference"))
        write(judged, asked.clips, asked.seconds, seed=11)
        write(reference, asked.clips, asked.seconds, seed=12)
        return score(judged, reference, asked.seconds)


def score(judged: Path, reference: Path, seconds: float) -> int:
    from lofi_engine.metrics.embeddings.sound import SoundEmbedding
    from lofi_engine.metrics.fad import FrechetAudioDistance
    from lofi_engine.metrics.folder import ClipFolder

    wall, processor = time.perf_counter(), time.process_time()
    sets = ClipFolder(judged), ClipFolder(reference)
    figures = FrechetAudioDistance(SoundEmbedding()).measure(*sets, lambda *_: None)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    heard = seconds * sum(len(one.names) for one in sets)
    for figure in figures:
        between = f"{figure.interval.low:.3f} to {figure.interval.high:.3f}"
        print(f"{figure.metric} {figure.value:.3f} ({between}), n = {figure.n} windows")
    print(f"{len(sets[0].names)} clips of {seconds:g} s against as many others: {wall:.1f} s")
    print(f"{processor:.1f} s of processor, {heard / wall:.0f} s of audio a second")
    print(f"{wall / LIMIT_SEC:.2f} of the limit of {LIMIT_SEC:.0f} s")
    print("held" if wall < LIMIT_SEC else "MISSED")
    return 0 if wall < LIMIT_SEC else 1


def write(folder: Path, clips: int, seconds: float, seed: int) -> None:
    import soundfile

    folder.mkdir()
    styles = list(load_styles())
    for number in range(clips):
        style = styles[number % len(styles)]
        sound = render(compose("", seed=seed + 100 * number, duration_sec=seconds, style=style))
        soundfile.write(folder / f"{number:03} {style}.wav", sound.T, SAMPLE_RATE, "PCM_16")


def scales() -> int:
    from lofi_engine.metrics.embeddings.sound import measure

    rows = [measure(window) for window in windows()]
    print(HEAD.format(styles=len(load_styles()), windows=len(rows), version=VERSION))
    for name in rows[0]:
        values = [row[name] for row in rows]
        spread = CHOSEN_SPREADS.get(name, float(np.std(values)))
        print(f'    "{name}": ({np.mean(values):.4g}, {spread:.4g}),')
    print("}")
    return 0


def windows() -> Iterator[npt.NDArray[np.float32]]:
    from lofi_engine.metrics.embeddings.sound_window import HOP_SEC, WINDOW_SEC

    length, hop = round(WINDOW_SEC * SAMPLE_RATE), round(HOP_SEC * SAMPLE_RATE)
    for style in load_styles():
        for seed in SCALE_SEEDS:
            sound = render(compose("", seed=seed, duration_sec=SCALE_SEC, style=style))
            for start in range(0, sound.shape[1] - length + 1, hop):
                yield sound[:, start : start + length]


if __name__ == "__main__":
    sys.exit(main())
