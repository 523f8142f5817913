"""What curate and describe leave of the tracks of a hand-made encoded set, sound and words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.data.rows import Row, write_rows
from lofi_engine.training.encoded import EncodedTrack
from lofi_runtime.audio_file import generated_tags, write_audio
from lofi_runtime.backend import SAMPLE_RATE


def write_heard(folder: Path, tracks: Sequence[EncodedTrack], duration_sec: float = 9.0) -> None:
    """Write `folder/curate` and `folder/describe`: noise that is coloured track by track."""
    rows, described = [], []
    (folder / "curate" / "tracks").mkdir(parents=True)
    (folder / "describe").mkdir()
    for number, one in enumerate(tracks):
        file = f"tracks/{one.track}.flac"
        tags = generated_tags(model="noise", license="cc0", title=one.track)
        sound = _noise(number, duration_sec)
        write_audio(folder / "curate" / file, sound, format="flac", tags=tags)
        rows.append(
            Row(
                source=f"synth/{one.track}",
                status="accepted",
                track=one.track,
                file=file,
                duration_sec=duration_sec,
                style_ids=one.style_ids,
                license="cc0",
                ai_training=True,
            )
        )
        described.append(
            Description(
                track=one.track,
                prompt=f"lofi, piano, {70 + number} bpm",
                lyrics="[Instrumental]",
                tempo_bpm=70.0 + number,
                key="",
                style_ids=one.style_ids,
                duration_sec=duration_sec,
                prompt_from="style",
            )
        )
    write_rows(folder / "curate", rows)
    write_descriptions(folder / "describe", described)


def _noise(number: int, duration_sec: float) -> np.ndarray:
    """Give stereo noise with a slope of its own and a pulse."""
    draws = np.random.default_rng(number)
    count = round(duration_sec * SAMPLE_RATE)
    spectrum = np.fft.rfft(draws.standard_normal((2, count)))
    spectrum /= (1 + np.arange(spectrum.shape[1])) ** (0.3 + 0.2 * number)
    sound = np.fft.irfft(spectrum, count)
    pulse = 0.6 + 0.4 * np.cos(2 * np.pi * (1 + number) * np.arange(count) / SAMPLE_RATE)
    shaped = sound * pulse
    return (0.5 * shaped / np.abs(shaped).max()).astype(np.float32)
