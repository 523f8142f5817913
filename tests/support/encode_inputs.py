"""What curate, describe and split leave of some short tracks, for the encode stage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.events import Event

Track = tuple[str, str, str, Sequence[str]]

TRACKS: Mapping[str, Track] = {
    "rain": ("train", "lofi, rain, piano", "", ["CORE-01"]),
    "night": ("train", "lofi, night", "[Verse]\nstay with me", ["VOC-01", "CORE-01"]),
    "unused": ("", "lofi", "", []),
    "snow": ("validation", "lofi, snow, vinyl crackle, slow tempo, 64 bpm", "[Instrumental]", []),
}
"""By name: its part of the split ("" for none), prompt, lyrics and styles."""


class KilledError(Exception):
    """What stops the stage from outside."""


def dying_at(done: int) -> Callable[[Event], None]:
    """Give a sink that kills the stage once it has reported so many units."""

    def die(event: Event) -> None:
        if event.done == done:
            raise KilledError

    return die


def write_inputs(folder: Path, tracks: Mapping[str, Track] = TRACKS) -> dict[str, Path]:
    """Write what the three stages leave, noise for sound; gives each one's folder."""
    audio = folder / "curate" / "tracks"
    audio.mkdir(parents=True)
    for number, name in enumerate(tracks):
        noise = np.random.default_rng(number).standard_normal((48_000 * (2 + number), 2))
        soundfile.write(audio / f"{name}.flac", 0.1 * noise, 48_000)
    split = {
        part: sorted(name for name in tracks if tracks[name][0] == part)
        for part in ("train", "validation")
    }
    for name in ("split", "describe"):
        (folder / name).mkdir()
    (folder / "split" / "split.json").write_text(json.dumps(split))
    described = [
        Description(name, prompt, lyrics, 80.0, "A minor", tuple(styles), 2.0, "style")
        for name, (_part, prompt, lyrics, styles) in tracks.items()
    ]
    write_descriptions(folder / "describe", described)
    return {name: folder / name for name in ("curate", "describe", "split")}
