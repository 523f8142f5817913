"""A folder of audio as people have it: many formats, good tracks and bad ones, all real files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lameenc
import numpy as np
import numpy.typing as npt
import soundfile

LIMITS: Mapping[str, Any] = {
    "min_duration_sec": 4.0,
    "max_duration_sec": 7.0,
    "min_bitrate_kbps": 64,
    "max_clipped": 0.001,
    "max_silent": 0.5,
    "peak_dbfs": -1.0,
    "format": "mp3",
}
"""The limits that the reasons below hold for, as `dataset.quality` in a recipe."""

NOT_BY_NAME = (
    "not an audio file by its name (audio is "
    "wav, flac, mp3, m4a, ogg, oga, opus, aiff, aif, aifc, caf, w64, rf64, au)"
)

REASONS: Mapping[str, str] = {
    "a corrupt one.flac": "corrupt: decoding stops after 1.5 s (flac decoder lost sync)",
    "aiff_32k.aiff": "",
    "broken link.wav": "cannot be read: No such file or directory",
    "clipped.wav": "clipped: 45.47 % of its samples, at most 0.1 % is allowed",
    "copy of mono.wav": "",
    "deep/er/夜の雨.flac": "",
    "empty.wav": "empty file",
    "cut short.wav": "cut short: 50 % of its samples are there",
    "flac_44k.flac": "",
    "hires_96k.wav": "",
    "link to deep": "a link to a folder, which is not followed",
    "long.flac": "",
    "low_bitrate.mp3": "bitrate 32 kbps, lossy files need at least 64",
    "mono_22k.wav": "same content as 'raw/copy of mono.wav'",
    "mp3_48k.mp3": "",
    "notes.txt": NOT_BY_NAME,
    "opus_48k.opus": "",
    "same_sound.flac": "same sound as 'raw/hires_96k.wav'",
    "short.wav": "too short: 2.0 s, at least 4 s are needed",
    "silent.wav": "silent: 100 % of it is silence, at most 50 % is allowed",
    "surround_48k.wav": "",
    "text.mp3": "no audio can be decoded from it (nothing in it is audio)",
    "vorbis_44k.ogg": "",
}
"""What curating a source `raw` under `LIMITS`, without a licence gate, says; "" is accepted."""


def make_audio_folder(folder: Path) -> dict[str, str]:
    """Write the folder; give each file's reason for refusal, "" for the good ones.

    Args:
        folder: made if need be. The reasons say "raw", so that should be its name.
    """
    (folder / "deep" / "er").mkdir(parents=True)

    def write(name: str, samples: npt.NDArray[np.float32], sample_rate: int, subtype: str) -> None:
        soundfile.write(folder / name, samples, sample_rate, subtype=subtype)

    mono = tune(6.0, 22_050, seed=1)[:, :1]
    write("copy of mono.wav", mono, 22_050, "PCM_16")
    write("mono_22k.wav", mono, 22_050, "PCM_16")
    flac = tune(6.0, 44_100, seed=2)
    write("flac_44k.flac", flac, 44_100, "PCM_16")
    (folder / "flac_44k_prompt.txt").write_text(
        "jazz lofi,  smooth, piano,\n82 bpm\n", encoding="utf-8"
    )
    (folder / "flac_44k_lyrics.txt").write_text(
        "[Verse]\r\nCity lights blur through the rain  \r\n\r\n\r\n[Outro]\r\n", encoding="utf-8"
    )
    hires = tune(5.0, 96_000, seed=3)
    write("hires_96k.wav", hires, 96_000, "PCM_24")
    steps, _ = soundfile.read(folder / "hires_96k.wav", dtype="int32")
    soundfile.write(folder / "same_sound.flac", steps, 96_000, subtype="PCM_24")
    write("aiff_32k.aiff", tune(5.0, 32_000, seed=4), 32_000, "PCM_16")
    write("long.flac", tune(9.0, 44_100, seed=5), 44_100, "PCM_16")
    write("deep/er/夜の雨.flac", tune(5.0, 44_100, seed=6), 44_100, "PCM_24")
    write_mp3(folder / "mp3_48k.mp3", tune(6.0, 48_000, seed=7), 320)
    write_mp3(folder / "low_bitrate.mp3", tune(6.0, 48_000, seed=8), 32)
    write_ogg(folder / "vorbis_44k.ogg", tune(6.0, 44_100, seed=9), 44_100, "VORBIS")
    write_ogg(folder / "opus_48k.opus", tune(5.0, 48_000, seed=10), 48_000, "OPUS")
    surround = np.concatenate([tune(5.0, 48_000, seed=20 + n)[:, :1] for n in range(6)], axis=1)
    write("surround_48k.wav", surround, 48_000, "PCM_16")
    _write_bad(folder, flac)
    return dict(REASONS)


def _write_bad(folder: Path, flac: npt.NDArray[np.float32]) -> None:
    good = (folder / "flac_44k.flac").read_bytes()
    middle = len(good) // 3
    corrupt = good[:middle] + bytes(2_000) + good[middle + 2_000 :]
    (folder / "a corrupt one.flac").write_bytes(corrupt)
    (folder / "text.mp3").write_text("not a song, a shopping list\n" * 200, encoding="utf-8")
    (folder / "notes.txt").write_text("bought in 2024\n", encoding="utf-8")
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "silent.wav", np.zeros((44_100 * 6, 2), np.float32), 44_100)
    soundfile.write(folder / "short.wav", tune(2.0, 44_100, seed=11), 44_100)
    soundfile.write(folder / "clipped.wav", np.clip(flac * 12, -1, 1), 44_100)
    soundfile.write(folder / "cut short.wav", tune(6.0, 44_100, seed=12), 44_100)
    whole = (folder / "cut short.wav").read_bytes()
    (folder / "cut short.wav").write_bytes(whole[: 44 + (len(whole) - 44) // 2])
    (folder / "broken link.wav").symlink_to("nowhere.wav")
    (folder / "link to deep").symlink_to("deep", target_is_directory=True)


def tune(
    duration_sec: float, sample_rate: int, *, seed: int, tempo_bpm: float = 80.0
) -> npt.NDArray[np.float32]:
    """Play A minor chords over clicks on the beat: (samples, 2), peak about 0.5."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration_sec * sample_rate)) / sample_rate
    beat = (seconds * tempo_bpm / 60) % 1.0
    chord = sum(np.sin(2 * np.pi * hertz * seconds + seed) for hertz in (220.0, 261.63, 329.63))
    click = np.exp(-beat * 40) * rng.standard_normal(len(seconds))
    left = 0.1 * chord + 0.08 * click + 0.004 * rng.standard_normal(len(seconds))
    samples: npt.NDArray[np.float32] = np.stack([left, 0.8 * left], axis=1).astype(np.float32)
    return samples


def write_mp3(path: Path, samples: npt.NDArray[np.float32], kbps: int) -> None:
    """Write (samples, 2) at 48 kHz as constant-bitrate MP3."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(kbps)
    encoder.set_in_sample_rate(48_000)
    encoder.set_out_sample_rate(48_000)
    encoder.set_channels(2)
    pcm = np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
    path.write_bytes(bytes(encoder.encode(pcm)) + bytes(encoder.flush()))


def write_ogg(path: Path, samples: npt.NDArray[np.float32], sample_rate: int, subtype: str) -> None:
    """Write (samples, channels) in Ogg, in small blocks: one big one crashes libsndfile."""
    with soundfile.SoundFile(
        path,
        "w",
        samplerate=sample_rate,
        channels=samples.shape[1],
        format="OGG",
        subtype=subtype,
        compression_level=0.0,
    ) as file:
        for start in range(0, len(samples), 16_000):
            file.write(samples[start : start + 16_000])
