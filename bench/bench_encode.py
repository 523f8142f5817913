"""How many seconds of sound the encode stage encodes in a second on one core, built-in small base.

Synthesised tracks (making them is not timed) go through the whole stage: decoding, latents, the
prompt and its other orders, lyrics, shards and index; loading the base counts too. Processor time
on one thread. It fails below the 20 seconds of sound a second that are wanted.

Run alone: python bench/bench_encode.py [--tracks N] [--seconds N] [--ssl]

With `--ssl` two tiny random networks of the class that MERT and mHuBERT are loaded as listen too:
what resampling and chunks cost, not what the real ones do; it is reported and held to nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import soundfile
import torch
from tiny_training import TINY, TRAINING

from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.stages import encode
from lofi_engine.stages.base import StageContext
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import compose, render

LEAST_RATIO = 20.0
SSL_WIDTHS = {"mert": 24, "mhubert": 16}
"""What the base's projectors take."""
SAMPLE_RATE = 48_000
LYRICS = "[Verse]\nstay with me tonight\nthe rain is falling slow"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each track")
    parser.add_argument("--ssl", action="store_true", help="let tiny audio models listen too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    heard_sec = asked.tracks * asked.seconds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        inputs = write_inputs(home / "inputs", synthesised(asked.tracks, asked.seconds))
        # The libraries a stage imports are the same for two tracks and for two thousand.
        timed(home / "warm-up", write_inputs(home / "little", synthesised(1, 1.0)), {})
        held = report("encode", heard_sec, *timed(home / "plain", inputs, {})) >= LEAST_RATIO
        if asked.ssl:
            report("encode with tiny audio models", heard_sec, *timed_listening(home, inputs))
    print("held" if held else "MISSED", f"(at least {LEAST_RATIO:g} on one core)")
    return 0 if held else 1


def report(name: str, heard_sec: float, processor_sec: float, size_bytes: int) -> float:
    """Print what was taken; give the seconds of sound in a second of processor."""
    ratio = heard_sec / processor_sec
    print(
        f"{name}: {heard_sec:g} s of sound in {processor_sec:.1f} s of processor, "
        f"{ratio:.0f}x real time, {size_bytes / heard_sec / 1000:.1f} kB a second of sound"
    )
    return ratio


def timed(place: Path, inputs: dict[str, Path], ssl: dict[str, str]) -> tuple[float, int]:
    """Run the stage; give its processor time in seconds and what it wrote, in bytes."""
    took = run_encode(place, inputs, ssl)
    work = place / "work"
    return took, sum(path.stat().st_size for path in work.rglob("*") if path.is_file())


def run_encode(place: Path, inputs: dict[str, Path], ssl: dict[str, str]) -> float:
    """Run the stage in `place/work`; give its processor time in seconds.

    Args:
        place: where; a relative audio model lies beside it.
        inputs: as `write_inputs` gives them.
        ssl: where audio models lie, by name.
    """
    context = StageContext(
        stage="encode",
        work=place / "work",
        progress=place / "progress",
        inputs=inputs,
        home=place.parent,
        seed=1,
        sink=lambda _event: None,
        threads=1,
    )
    context.work.mkdir(parents=True)
    before = time.process_time()
    encode.run(context, encode.Settings(TINY, TRAINING.latents_precision, ssl))
    return time.process_time() - before


def timed_listening(home: Path, inputs: dict[str, Path]) -> tuple[float, int]:
    """Run the stage with two random networks as small as they come."""
    ssl = {}
    for name, width in SSL_WIDTHS.items():
        save_network(home / name, width)
        ssl[name] = name
    return timed(home / "listening", inputs, ssl)


def save_network(folder: Path, width: int) -> None:
    from transformers import HubertConfig, HubertModel

    shape: dict[str, Any] = {
        "conv_dim": (8, 8, 8),
        "conv_stride": (10, 8, 4),
        "conv_kernel": (10, 8, 4),
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
    config = HubertConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_feat_extract_layers=3,
        **shape,
    )
    HubertModel(config).save_pretrained(folder)


def synthesised(tracks: int, seconds: float) -> Iterator[tuple[Description, Any]]:
    """Give each track's description and sound."""
    styles = list(load_styles())
    prompt = "lofi, rain, piano, vinyl crackle, slow tempo, 72 bpm"
    for number in range(tracks):
        name, style = f"track-{number:03}", styles[number % len(styles)]
        sound = render(compose("", seed=number, duration_sec=seconds, style=style))
        lyrics = LYRICS if number % 2 else ""
        yield Description(name, prompt, lyrics, 72.0, "A minor", (style,), seconds, "style"), sound


def write_inputs(folder: Path, tracks: Iterable[tuple[Description, Any]]) -> dict[str, Path]:
    """Write what curate, describe and split leave of tracks, all to train on.

    Args:
        folder: for a folder of each stage.
        tracks: each track's description and sound, (2, samples) at 48 kHz.
    """
    inputs = {name: folder / name for name in ("curate", "describe", "split")}
    audio = inputs["curate"] / "tracks"
    for place in (audio, inputs["describe"], inputs["split"]):
        place.mkdir(parents=True)
    described = []
    for one, sound in tracks:
        soundfile.write(audio / f"{one.track}.flac", sound.T, SAMPLE_RATE, "PCM_16")
        described.append(one)
    write_descriptions(inputs["describe"], described)
    split = {"train": [one.track for one in described], "validation": []}
    (inputs["split"] / "split.json").write_text(json.dumps(split), encoding="utf-8")
    return inputs


if __name__ == "__main__":
    sys.exit(main())
