from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lofi_engine.data import size
from lofi_engine.data.prepare import FileJob, prepare
from lofi_engine.recipe.model import Quality
from tests.support.audio_folder import LIMITS, tune


def sparse_wave64(path: Path, *, rate: int, channels: int, hours: float) -> Path:
    """Write a sound 8-bit Wave64 file of silence that takes no disk: its data is a hole."""
    data = int(rate * channels * hours * 3600)
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels, channels, 8)
    head = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    head += struct.pack("<Q", 104 + data) + b"wave" + tail
    head += b"fmt " + tail + struct.pack("<Q", 24 + len(form)) + form
    head += b"data" + tail + struct.pack("<Q", 24 + data)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data)
    return path


def test_a_file_of_100_hours_is_refused_before_it_is_decoded(tmp_path):
    path = sparse_wave64(tmp_path / "a.w64", rate=48_000, channels=2, hours=100)
    job = FileJob(path, "hash", Quality(**LIMITS))
    assert prepare(job, tmp_path / "unit").reasons == (
        "too long: 100.0 h of 2 channels at 48000 Hz are 34560000000 samples, "
        "at most 2147483648 are decoded",
    )


def test_what_would_be_kept_is_bounded_by_channels_too(tmp_path):
    path = sparse_wave64(tmp_path / "a.w64", rate=384_000, channels=16, hours=0.05)
    assert size.size_fault(path, keep_sec=60) == ""
    assert size.size_fault(path, keep_sec=3600) == (
        "too large: 16 channels at 384000 Hz for 180 s are 1105920000 samples, "
        "at most 536870912 are kept"
    )


def test_an_hour_of_stereo_is_not_too_much(tmp_path):
    path = sparse_wave64(tmp_path / "a.w64", rate=48_000, channels=2, hours=1)
    assert size.size_fault(path, keep_sec=3600) == ""


def test_a_thousand_channels_are_refused_by_number(tmp_path):
    import soundfile

    sound = tune(1.0, 8_000, seed=1)[:, :1].repeat(1000, axis=1)
    soundfile.write(tmp_path / "a.wav", sound, 8_000, subtype="PCM_16")
    job = FileJob(tmp_path / "a.wav", "hash", Quality(**LIMITS))
    assert prepare(job, tmp_path / "unit").reasons == ("1000 channels, at most 16 can be used",)


@pytest.mark.parametrize("content", [b"", b"words"])
def test_what_is_no_audio_is_left_to_the_decoder(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    assert size.size_fault(tmp_path / "a.wav", keep_sec=60) == ""
