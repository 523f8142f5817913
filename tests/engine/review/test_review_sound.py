from __future__ import annotations

import base64
import os
import signal

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.decode import DecodeError
from lofi_engine.review.decoder import Decoder
from lofi_engine.review.ranges import UnsatisfiableRange, wanted_range
from lofi_engine.review.sound import media_type, picture
from tests.support.audio_folder import tune, write_mp3, write_ogg


def test_what_browsers_play_is_served_as_it_is_and_the_rest_is_not(tmp_path):
    music = tune(1.0, 48_000, seed=1)
    forms = {
        "a.wav": ("PCM_24", "audio/wav"), "a.flac": ("PCM_16", "audio/flac"),
        "b.wav": ("DOUBLE", ""), "a.aiff": ("PCM_16", ""), "a.caf": ("PCM_16", ""),
        "c.wav": ("ULAW", ""), "a.au": ("PCM_16", ""),
    }  # fmt: skip
    for name, (subtype, _) in forms.items():
        soundfile.write(tmp_path / name, music, 48_000, subtype=subtype)
    assert {name: media_type(tmp_path / name) for name in forms} == {
        name: expected for name, (_, expected) in forms.items()
    }
    write_mp3(tmp_path / "a.mp3", music, 128)
    write_ogg(tmp_path / "a.opus", music, 48_000, "OPUS")
    assert media_type(tmp_path / "a.mp3") == "audio/mpeg"
    assert media_type(tmp_path / "a.opus") == "audio/ogg"
    # By content, never by name.
    (tmp_path / "a.aiff").rename(tmp_path / "really.mp3")
    assert media_type(tmp_path / "really.mp3") == ""
    soundfile.write(tmp_path / "six.flac", np.zeros((800, 6)), 48_000)
    assert media_type(tmp_path / "six.flac") == ""


def test_a_picture_shows_where_it_is_loud_and_how_high_it_sounds(tmp_path):
    seconds = np.arange(4 * 48_000) / 48_000
    sine = np.where(seconds < 2, 0.0, 0.8 * np.sin(2 * np.pi * 1000 * seconds))
    soundfile.write(tmp_path / "a.wav", sine, 48_000)
    drawn = picture(tmp_path / "a.wav")
    columns, bands = drawn["columns"], drawn["bands"]
    assert (drawn["duration_sec"], drawn["drawn_sec"], drawn["channels"]) == (4.0, 4.0, 1)
    high, low = np.array(drawn["high"]), np.array(drawn["low"])
    assert high[: columns // 2 - 2].max() == 0
    assert high[columns // 2 + 2 :].min() == 80
    assert low[columns // 2 + 2 :].max() == -80
    shade = np.frombuffer(base64.b64decode(drawn["spectrogram"]), np.uint8).reshape(bands, columns)
    loudest = int(shade[:, 3 * columns // 4].argmax())
    ratio = drawn["highest_hz"] / drawn["lowest_hz"]
    assert drawn["lowest_hz"] * ratio ** ((loudest + 0.5) / bands) == pytest.approx(1000, rel=0.07)
    assert shade[:, : columns // 2 - 20].max() == 0


@pytest.mark.parametrize("samples", [1, 63, 100, 5000])
def test_a_very_short_file_has_a_picture_too(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", np.full(samples, 0.5), 8_000)
    drawn = picture(tmp_path / "a.wav")
    assert drawn["columns"] == max(1, samples // 64) == len(drawn["high"])
    assert max(drawn["high"]) == 50


def test_what_browsers_cannot_play_is_decoded_to_stereo_once_and_removed_at_the_end(tmp_path):
    surround = np.zeros((24_000, 6))
    surround[:, 2] = 0.5  # the centre
    soundfile.write(tmp_path / "six.aiff", surround, 96_000)
    with Decoder() as decoder:
        place, kind = decoder.playable(tmp_path / "six.aiff")
        assert kind == "audio/wav"
        samples, sample_rate = soundfile.read(place)
        assert (samples.shape, sample_rate) == ((24_000, 2), 96_000)
        assert samples[100] == pytest.approx([0.3535, 0.3535], abs=1e-3)
        assert decoder.playable(tmp_path / "six.aiff") == (place, kind)
        soundfile.write(tmp_path / "six.aiff", surround[:12_000], 96_000)
        again, _ = decoder.playable(tmp_path / "six.aiff")
        assert soundfile.info(again).frames == 12_000
        folder = place.parent
    assert not folder.exists()


def test_only_the_last_few_converted_files_are_kept(tmp_path):
    with Decoder() as decoder:
        places = []
        for number in range(6):
            soundfile.write(tmp_path / f"{number}.aiff", np.zeros(800 + number), 8_000)
            places.append(decoder.playable(tmp_path / f"{number}.aiff")[0])
        assert [place.exists() for place in places] == [False, False, True, True, True, True]


def test_a_name_that_is_not_utf_8_is_served_like_any_other(tmp_path):
    place = tmp_path / os.fsdecode(b"bad\xffname.flac")
    plain = tmp_path / "plain.flac"
    soundfile.write(plain, tune(1.0, 48_000, seed=1), 48_000)
    plain.rename(place)
    with Decoder() as decoder:
        assert decoder.playable(place) == (place, "audio/flac")
        assert decoder.picture(place)["duration_sec"] == 1.0


def test_a_damaged_file_says_why_and_a_killed_child_costs_nothing_else(tmp_path):
    (tmp_path / "text.mp3").write_text("no song\n" * 99)
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 8_000)
    with Decoder() as decoder:
        with pytest.raises(DecodeError, match="nothing in it is audio"):
            decoder.playable(tmp_path / "text.mp3")
        with pytest.raises(DecodeError, match="cannot be read: No such file"):
            decoder.picture(tmp_path / "gone.wav")
        (child,) = decoder._pool._processes.values()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert decoder.picture(tmp_path / "a.wav")["duration_sec"] == 1.0
    with pytest.raises(DecodeError, match="the review has ended"):
        decoder.playable(tmp_path / "text.mp3")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=9-3", None),
        ("lines=1-2", None),
        ("bytes=a-b", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(header, expected):
    assert wanted_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", f"bytes={10**17}-"])
def test_a_range_behind_the_end_is_refused(header):
    with pytest.raises(UnsatisfiableRange):
        wanted_range(header, 100)
