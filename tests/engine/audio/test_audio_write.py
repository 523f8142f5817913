from __future__ import annotations

import mutagen
import mutagen.mp3
import numpy as np
import pytest

from lofi_engine.audio.bitrate import bitrate_kbps
from lofi_engine.audio.decode import decode
from lofi_engine.audio.write import write_track
from tests.support.audio_folder import tune, write_mp3, write_ogg


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.ascontiguousarray(tune(2.0, 48_000, seed=1).T)


@pytest.mark.parametrize("suffix", [".mp3", ".flac"])
def test_the_same_samples_give_the_same_bytes(tmp_path, sound, suffix):
    write_track(tmp_path / f"a{suffix}", sound)
    write_track(tmp_path / f"b{suffix}", sound)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_mp3_is_320_kbps_constant_and_decodes_to_the_sound(tmp_path, sound):
    write_track(tmp_path / "a.mp3", sound)
    assert mutagen.mp3.MP3(tmp_path / "a.mp3").info.bitrate == 320_000
    decoded = decode(tmp_path / "a.mp3")
    assert decoded.sample_rate == 48_000
    delay = np.argmax(np.correlate(decoded.samples[0, :6_000], sound[0, 1_000:3_000])) - 1_000
    assert 0 < delay < 2_500
    error = decoded.samples[:, delay + 4_800 : delay + 48_000] - sound[:, 4_800:48_000]
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_flac_is_lossless_to_24_bits(tmp_path, sound):
    write_track(tmp_path / "a.flac", sound)
    assert np.abs(decode(tmp_path / "a.flac").samples - sound).max() <= 2**-22


def test_other_suffixes_and_mono_are_refused(tmp_path, sound):
    with pytest.raises(ValueError, match=r"'\.ogg' cannot be written"):
        write_track(tmp_path / "a.ogg", sound)
    with pytest.raises(ValueError, match="expected"):
        write_track(tmp_path / "a.mp3", sound[:1])


def test_bitrates_are_what_the_files_really_have(tmp_path):
    sound = tune(4.0, 48_000, seed=1)
    for kbps in (64, 192, 320):
        write_mp3(tmp_path / "a.mp3", sound, kbps)
        assert bitrate_kbps(tmp_path / "a.mp3", 4.0) == kbps
    write_ogg(tmp_path / "a.opus", sound, 48_000, "OPUS")
    size = (tmp_path / "a.opus").stat().st_size
    assert bitrate_kbps(tmp_path / "a.opus", 4.0) == pytest.approx(size * 8 / 4_000, rel=0.01)


def test_a_header_cannot_promise_more_than_the_files_size(tmp_path):
    # One frame that says 320, of a file whose bytes for four seconds make 64.
    sound = tune(4.0, 48_000, seed=1)
    write_mp3(tmp_path / "low.mp3", sound, 64)
    write_mp3(tmp_path / "high.mp3", sound[:4_800], 320)
    mixed = (tmp_path / "high.mp3").read_bytes()[:1_920] + (tmp_path / "low.mp3").read_bytes()
    (tmp_path / "mixed.mp3").write_bytes(mixed)
    assert bitrate_kbps(tmp_path / "mixed.mp3", 4.04) < 70


def test_junk_has_the_bitrate_of_its_size(tmp_path):
    for number in range(20):
        junk = np.random.default_rng(number).bytes(4_000)
        for head in (b"", b"ID3\x04\x00\x00\x00\x00\x00\x05", b"OggS\x00\x02", b"fLaC", b"RIFF"):
            (tmp_path / "a.mp3").write_bytes(head + junk)
            assert bitrate_kbps(tmp_path / "a.mp3", 1.0) in range(33)
