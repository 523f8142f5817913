"""Music by the synthesiser and what happens to recordings: encoded again, trimmed, sped up, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import compose, render
from tests.support.audio_folder import write_mp3, write_ogg

SAMPLE_RATE = 48_000

Samples = npt.NDArray[np.float32]
Change = Callable[[Samples, Path], tuple[Samples, int]]


@cache
def play(style_id: str, seed: int, duration_sec: float, words: int | None = None) -> Samples:
    """Synthesise a track: (2, samples) at 48 kHz; `words` seeds its prompt, else `seed` does."""
    prompt = expand_style(load_styles()[style_id], seed if words is None else words)
    return render(compose(prompt, seed=seed, duration_sec=duration_sec, style=style_id))


def _mp3(samples: Samples, folder: Path, kbps: int = 128) -> tuple[Samples, int]:
    write_mp3(folder / "again.mp3", samples.T, kbps)
    return _read(folder / "again.mp3")


def _ogg(samples: Samples, folder: Path) -> tuple[Samples, int]:
    write_ogg(folder / "again.ogg", samples.T, SAMPLE_RATE, "VORBIS")
    return _read(folder / "again.ogg")


def _read(path: Path) -> tuple[Samples, int]:
    read, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(read.T), sample_rate


def _resampled(samples: Samples, folder: Path) -> tuple[Samples, int]:
    return np.ascontiguousarray(soxr.resample(samples.T, SAMPLE_RATE, 22_050).T), 22_050


def _trimmed(samples: Samples, folder: Path) -> tuple[Samples, int]:
    return samples[:, round(3.03 * SAMPLE_RATE) : -2 * SAMPLE_RATE], SAMPLE_RATE


def _noisy(samples: Samples, folder: Path) -> tuple[Samples, int]:
    noise = np.random.default_rng(1).standard_normal(samples.shape, dtype=np.float32)
    return samples + noise * np.float32(0.01), SAMPLE_RATE


def faster(samples: Samples, speed: float) -> Samples:
    """Play (2, samples) faster and so higher, as a turntable does; below 1 slower."""
    sped: Samples = soxr.resample(samples.T, SAMPLE_RATE * speed, SAMPLE_RATE).T
    return np.ascontiguousarray(sped.astype(np.float32))


def _pitched(semitones: float) -> Change:
    def change(samples: Samples, folder: Path) -> tuple[Samples, int]:
        import librosa.effects

        mono = samples.mean(axis=0)
        moved = librosa.effects.pitch_shift(mono, sr=SAMPLE_RATE, n_steps=semitones)
        return moved[None].astype(np.float32), SAMPLE_RATE

    return change


def _stretched(rate: float) -> Change:
    def change(samples: Samples, folder: Path) -> tuple[Samples, int]:
        import librosa.effects

        slower = librosa.effects.time_stretch(samples.mean(axis=0), rate=rate)
        return slower[None].astype(np.float32), SAMPLE_RATE

    return change


def _many(samples: Samples, folder: Path) -> tuple[Samples, int]:
    return _mp3(faster(samples[:, 3 * SAMPLE_RATE :] * np.float32(0.5), 1.03), folder)


CHANGES: Mapping[str, Change] = {
    "MP3 at 128 kbit/s": _mp3,
    "MP3 at 64 kbit/s": lambda samples, folder: _mp3(samples, folder, 64),
    "Ogg Vorbis": _ogg,
    "3 s off the head and 2 off the tail": _trimmed,
    "12 dB down": lambda samples, folder: (samples * np.float32(0.25), SAMPLE_RATE),
    "mono": lambda samples, folder: (samples[:1], SAMPLE_RATE),
    "22.05 kHz": _resampled,
    "noise at -40 dBFS": _noisy,
    "a semitone up": _pitched(1.0),
    "a semitone down": _pitched(-1.0),
    "half a semitone up": _pitched(0.5),
    "6 % faster": lambda samples, folder: (faster(samples, 1.06), SAMPLE_RATE),
    "3 % slower": lambda samples, folder: (faster(samples, 0.97), SAMPLE_RATE),
    "5 % faster at the same pitch": _stretched(1.05),
    "trimmed, 6 dB down, 3 % faster, MP3": _many,
}
"""What leaves a recording the same recording, by name."""
