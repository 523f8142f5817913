from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.decode import DecodeError, decode
from tests.support.audio_folder import tune, write_mp3, write_ogg
from tests.support.ordinary_user import heeding_permissions
from tests.support.real_track import REAL_TRACK, needs_real_track


@pytest.fixture
def sound() -> np.ndarray:
    return tune(1.0, 44_100, seed=1)


def refusal(path: Path) -> str:
    with pytest.raises(DecodeError) as refused:
        decode(path)
    assert str(path.parent) not in str(refused.value)
    return refused.value.message


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance", "lossy"),
    [
        ("a.wav", "PCM_16", 2**-15, False),
        ("a.wav", "PCM_24", 2**-23, False),
        ("a.wav", "FLOAT", 0.0, False),
        ("a.flac", "PCM_16", 2**-15, False),
        ("a.aiff", "PCM_16", 2**-15, False),
        ("a.caf", "PCM_24", 2**-23, False),
        ("a.wav", "ULAW", 0.03, True),
    ],
)
def test_samples_come_back_as_they_were_written(tmp_path, sound, name, subtype, tolerance, lossy):
    soundfile.write(tmp_path / name, sound, 44_100, subtype=subtype)
    decoded = decode(tmp_path / name)
    assert decoded.samples.shape == (2, 44_100)
    assert decoded.samples.dtype == np.float32
    assert np.abs(decoded.samples - sound.T).max() <= tolerance
    assert (decoded.sample_rate, decoded.duration_sec) == (44_100, 1.0)
    assert (decoded.subtype, decoded.lossy, decoded.channels) == (subtype, lossy, 2)


def test_lossy_formats_decode_and_say_so(tmp_path):
    sound = tune(1.0, 48_000, seed=2)
    write_mp3(tmp_path / "a.mp3", sound, 320)
    write_ogg(tmp_path / "a.ogg", sound, 48_000, "VORBIS")
    write_ogg(tmp_path / "a.opus", sound, 48_000, "OPUS")
    for name in ("a.mp3", "a.ogg", "a.opus"):
        decoded = decode(tmp_path / name)
        assert decoded.lossy
        assert decoded.duration_sec == pytest.approx(1.0, abs=0.06)


def test_only_the_beginning_is_kept_but_all_is_counted(tmp_path):
    soundfile.write(tmp_path / "a.flac", tune(3.0, 44_100, seed=1), 44_100)
    decoded = decode(tmp_path / "a.flac", keep_sec=1.5)
    assert decoded.samples.shape == (2, 66_150)
    assert decoded.duration_sec == 3.0


def test_damage_after_the_kept_part_is_still_found(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tune(6.0, 44_100, seed=1), 44_100)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30_000] + bytes(2_000) + whole[-28_000:])
    with pytest.raises(DecodeError, match=r"corrupt: decoding stops after 4\.\d s"):
        decode(path, keep_sec=1.0)


def test_what_is_not_audio_is_refused_with_the_reason(tmp_path):
    (tmp_path / "text.mp3").write_text("words\n" * 500)
    (tmp_path / "noise.flac").write_bytes(np.random.default_rng(0).bytes(5_000))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    nothing = "no audio can be decoded from it"
    assert refusal(tmp_path / "text.mp3") == f"{nothing} (nothing in it is audio)"
    assert refusal(tmp_path / "noise.flac").startswith(nothing)
    assert refusal(tmp_path / "empty.wav") == "empty file"
    assert refusal(tmp_path / "folder.wav") == "not a regular file"
    assert refusal(tmp_path / "pipe.wav") == "not a regular file"
    assert refusal(tmp_path / "gone.wav") == "cannot be read: No such file or directory"


def test_a_file_cut_short_is_refused_with_what_is_left(tmp_path, sound):
    for name, subtype in (("a.wav", "PCM_16"), ("b.aiff", "PCM_16")):
        path = tmp_path / name
        soundfile.write(path, sound, 44_100, subtype=subtype)
        path.write_bytes(path.read_bytes()[:88_200])
        assert refusal(path) == "cut short: 50 % of its samples are there"


def test_a_streamed_wav_whose_header_knows_no_size_is_whole(tmp_path, sound):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, 44_100, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert decode(path).duration_sec == 1.0


def test_nan_and_infinity_are_refused(tmp_path, sound):
    for bad in (np.nan, np.inf):
        broken = sound.copy()
        broken[100, 1] = bad
        soundfile.write(tmp_path / "a.wav", broken, 44_100, subtype="FLOAT")
        assert refusal(tmp_path / "a.wav") == "holds NaN or infinite samples"


def test_absurd_headers_are_refused(tmp_path, sound):
    soundfile.write(tmp_path / "slow.wav", sound, 4_000)
    soundfile.write(tmp_path / "wide.wav", np.zeros((100, 40), np.float32), 44_100)
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2), np.float32), 44_100)
    assert refusal(tmp_path / "slow.wav").startswith("sample rate 4000 Hz, from 8000 to")
    assert refusal(tmp_path / "wide.wav") == "40 channels, at most 16 can be used"
    assert refusal(tmp_path / "none.wav") == "no audio in it: 0 samples decode"


def test_an_unreadable_file_is_refused(tmp_path, sound):
    soundfile.write(tmp_path / "a.wav", sound, 44_100)
    (tmp_path / "a.wav").chmod(0)
    with heeding_permissions():
        assert refusal(tmp_path / "a.wav") == "cannot be read: Permission denied"


@needs_real_track
def test_a_real_track_decodes_in_full():
    decoded = decode(REAL_TRACK)
    assert decoded.sample_rate == 48_000
    assert decoded.duration_sec == pytest.approx(60.0, abs=0.1)
    assert decoded.lossy
