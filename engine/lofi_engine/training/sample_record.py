"""What was rendered while training, as `samples.json` keeps it beside the clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lofi_engine.training.sample_prompts import SamplePrompt
from lofi_runtime.atomic import read_json

RECORD = "samples.json"
BASE = "base"
"""The round without an adapter; the others are named as checkpoints are."""
_COLUMNS, _ROWS = 128, 64
_FLOOR_DB = -75.0


@dataclass(frozen=True)
class Clip:
    """One clip.

    Args:
        audio: its file, relative to the record.
        picture: its spectrogram's.
        distance_db: how far its spectrogram is from the base's of the same prompt.
        warnings: what mastering said of it, such as silence.
    """

    audio: str
    picture: str
    distance_db: float
    warnings: tuple[str, ...]

    def beside(self, folder: Path, other: Clip) -> Clip:
        """Give the same clip with its distance from another that lies in the same folder."""
        distance = spectrum_distance_db(folder / self.audio, folder / other.audio)
        return replace(self, distance_db=round(distance, 2))


@dataclass(frozen=True)
class SampleRecord:
    """A suite and every round of it that was rendered.

    Args:
        base: whose clips stand for comparison.
        guidance: how they were guided, for a human.
        duration_sec: of each clip.
        inference_steps: of each clip.
        seed: of each clip.
        prompts: what was asked for.
        rounds: by name and style.
    """

    base: str
    guidance: str
    duration_sec: int
    inference_steps: int
    seed: int
    prompts: tuple[SamplePrompt, ...]
    rounds: dict[str, dict[str, Clip]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


def read_record(path: Path, wanted: SampleRecord) -> SampleRecord:
    """Read a record to go on with.

    Args:
        path: may be missing.
        wanted: a record without rounds.

    Returns:
        `wanted`, with the rounds kept there if they are of the same suite.
    """
    try:
        kept = read_json(path)
        rounds = {name: _clips(clips) for name, clips in kept.pop("rounds").items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return wanted  # clips can be rendered again
    asked = {**wanted.as_json(), "prompts": [asdict(one) for one in wanted.prompts]}
    asked.pop("rounds")
    return replace(wanted, rounds=rounds) if kept == asked else wanted


def spectrum_distance_db(one: Path, other: Path) -> float:
    """Give the mean difference of two sounds' log-frequency spectrograms, in dB.

    Each is measured below its own loudest place, down to -75 dB, so loudness does not count. Equal
    sounds are 0 dB apart.

    Args:
        one: a sound file.
        other: another of the same length.
    """
    import numpy as np

    return float(np.abs(_levels(one) - _levels(other)).mean())


def _levels(path: Path) -> Any:
    import numpy as np
    import soundfile

    from lofi_engine.gallery.spectrogram import spectrogram

    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.maximum(spectrogram(samples.T, sample_rate, _COLUMNS, _ROWS), _FLOOR_DB)


def _clips(kept: Mapping[str, Any]) -> dict[str, Clip]:
    return {
        style: Clip(**{**clip, "warnings": tuple(clip["warnings"])}) for style, clip in kept.items()
    }
