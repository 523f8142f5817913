from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.decode import decode
from lofi_engine.audio.levels import integrated_loudness
from lofi_engine.audio.peaks import true_peak
from lofi_engine.data.prepare import FINGERPRINT_NAME, FileJob, Prepared, load_unit, prepare
from lofi_engine.recipe.model import Quality
from tests.engine.audio.test_audio_m4a import write_m4a
from tests.support.audio_folder import LIMITS, tune, write_mp3

RATE = 44_100


def prepared(path: Path, **quality: Any) -> Prepared:
    """Prepare a file into `unit` beside it."""
    limits = {**LIMITS, "format": "flac", **quality}
    return prepare(FileJob(path, "hash", Quality(**limits)), path.parent / "unit")


def written(path: Path, result: Prepared) -> np.ndarray:
    return decode(path.parent / "unit" / result.file).samples


def wav(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def brick_wall(samples: np.ndarray, hertz: float, rate: int) -> np.ndarray:
    spectrum = np.fft.rfft(samples, axis=0)
    spectrum[np.fft.rfftfreq(len(samples), 1 / rate) > hertz] = 0
    return np.fft.irfft(spectrum, len(samples), axis=0)


def test_every_measurement_is_taken_and_plain(tmp_path):
    result = prepared(wav(tmp_path / "a.wav", tune(5.0, RATE, seed=1), subtype="PCM_16"))
    assert set(result.measurements) == {
        *("format", "subtype", "sample_rate", "channels", "duration_sec", "bandwidth_hz"),
        *("clipped", "clipped_between", "silent", "rms_dbfs", "peak_dbfs", "true_peak_dbfs"),
        *("dc_offset", "loudness_lufs", "noise_floor_dbfs", "crest_db", "cutoff_db"),
    }
    assert {type(value) for value in result.measurements.values()} <= {str, int, float}
    lost = sum(result.score_parts.values())
    assert result.quality_score == pytest.approx(100 - lost)
    assert load_unit(tmp_path / "unit") == result


def test_a_unit_holds_its_fingerprint_and_is_not_finished_without(tmp_path):
    path = wav(tmp_path / "a.wav", tune(5.0, RATE, seed=1))
    result = prepared(path)
    print_path = tmp_path / "unit" / FINGERPRINT_NAME
    assert len(np.load(print_path, allow_pickle=False)) > 0
    quieter = prepared(path, peak_dbfs=-12.0)
    assert quieter.audio_sha256 != result.audio_sha256
    print_path.unlink()
    assert load_unit(tmp_path / "unit") is None


def test_a_float_file_above_full_scale_is_clipped_by_name(tmp_path):
    hot = (6 * tune(5.0, RATE, seed=1)).astype(np.float32)
    result = prepared(wav(tmp_path / "a.wav", hot))
    assert result.measurements["peak_dbfs"] > 6
    (reason,) = result.reasons
    assert reason.startswith("clipped: ")
    assert result.score_parts["clipping"] == 25.0
    assert result.score_parts["overs"] == 10.0


def test_peaks_between_the_samples_are_told_and_refuse_nothing(tmp_path):
    seconds = np.arange(5 * 48_000) / 48_000
    tone = 1.35 * np.sin(2 * np.pi * 12_000 * seconds + np.pi / 4)
    sound = (
        np.stack([tone, tone], axis=1)
        * np.minimum(1, 20 * np.minimum(seconds, 5 - seconds))[:, None]
    )
    result = prepared(wav(tmp_path / "a.wav", sound.astype(np.float32), 48_000))
    assert result.reasons == ()
    assert result.measurements["clipped"] == 0
    assert result.measurements["clipped_between"] > 0.3
    assert result.notes[0].startswith("peaks of 2.6 dBFS between its samples")


def test_a_quiet_track_is_not_silent_and_is_brought_to_the_peak(tmp_path):
    quiet = (tune(5.0, RATE, seed=1) * 0.005).astype(np.float32)  # all of it is under 0.01
    path = wav(tmp_path / "a.wav", quiet)
    result = prepared(path)
    assert result.reasons == ()
    assert result.measurements["silent"] == 0.0
    peak = np.abs(written(path, result)).max()
    assert peak == pytest.approx(10 ** (-1 / 20), abs=1e-4)


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_a_cut_off_spectrum_is_warned_of_and_never_refused(tmp_path, format):
    rng = np.random.default_rng(1)
    bright = tune(5.0, 48_000, seed=1) + 0.02 * rng.standard_normal((5 * 48_000, 2))
    path = tmp_path / f"a.{format}"
    write = write_mp3 if format == "mp3" else None
    for sound, notes in ((bright, 0), (brick_wall(bright, 15_000, 48_000), 1)):
        if write is not None:
            write(path, sound.astype(np.float32), 320)
        else:
            wav(path, sound, 48_000, "PCM_24")
        result = prepared(path)
        assert result.reasons == ()
        assert len(result.notes) == notes
    assert result.notes[0].startswith(("nothing above 15.", "nothing above 14."))
    assert "or filtered on purpose" in result.notes[0]


def test_six_channels_are_folded_with_the_standard_gains(tmp_path):
    seconds = np.arange(5 * 48_000) / 48_000
    six = np.zeros((len(seconds), 6))
    six[:, 0] = 0.4 * np.sin(2 * np.pi * 300 * seconds)
    six[:, 2] = 0.4 * np.sin(2 * np.pi * 700 * seconds)
    six[:, 3] = 0.4 * np.sin(2 * np.pi * 50 * seconds)
    path = wav(tmp_path / "a.wav", six, 48_000)
    result = prepared(path)
    left, right = np.abs(np.fft.rfft(written(path, result)[:, :48_000], axis=1))
    assert left[700] / left[300] == pytest.approx(0.7071, rel=0.01)
    assert right[700] == pytest.approx(left[700], rel=0.001)
    assert max(left[50], right[50], right[300]) < 0.001 * left[300]
    assert (result.notes, result.measurements["channels"]) == ((), 6)


def test_channels_of_unknown_places_are_averaged_with_a_note_and_32_are_refused(tmp_path):
    path = wav(tmp_path / "a.wav", np.repeat(tune(5.0, 8_000, seed=1)[:, :1], 12, axis=1), 8_000)
    assert prepared(path).notes == ("12 channels of unknown places were averaged",)
    wav(path, np.repeat(tune(5.0, 8_000, seed=1)[:, :1], 32, axis=1), 8_000)
    assert prepared(path).reasons == ("32 channels, at most 16 can be used",)


def test_a_loudness_is_reached_without_touching_the_peaks(tmp_path):
    path = wav(tmp_path / "a.wav", tune(5.0, RATE, seed=1))
    result = prepared(path, loudness_lufs=-23.0)
    sound = written(path, result)
    assert integrated_loudness(sound, 48_000) == pytest.approx(-23.0, abs=0.05)
    assert result.notes == ()
    result = prepared(path, loudness_lufs=-5.0, peak_dbfs=-3.0)
    sound = written(path, result)
    top = true_peak(sound, 48_000).amplitude
    assert 20 * np.log10(top) == pytest.approx(-3.0, abs=0.02)
    reached = integrated_loudness(sound, 48_000)
    assert result.notes == (
        f"{reached:.1f} LUFS: its peaks at -3 dBFS allow no more, -5 was asked for",
    )


def test_an_m4a_goes_all_the_way(tmp_path):
    path = write_m4a(tmp_path / "a.m4a", tune(5.0, RATE, seed=1))
    result = prepared(path)
    assert result.reasons == ()
    assert result.measurements["format"] == "M4A"
    assert 100 < result.measurements["bitrate_kbps"] < 260
    assert written(path, result).shape[0] == 2


def test_a_long_track_keeps_its_best_window_when_asked(tmp_path):
    sound = tune(14.0, RATE, seed=1) * np.repeat([0.05, 1.0], np.array([5, 9]) * RATE)[:, None]
    path = wav(tmp_path / "a.wav", sound.astype(np.float32))
    assert prepared(path).notes == ("cut to its first 7 s",)
    result = prepared(path, window="best")
    assert (result.notes, result.duration_sec) == (("cut to 7 s from 5 s on",), 7.0)


def test_mono_is_written_on_both_sides(tmp_path):
    path = wav(tmp_path / "a.wav", tune(5.0, RATE, seed=1)[:, :1])
    left, right = written(path, prepared(path))
    assert np.array_equal(left, right)
