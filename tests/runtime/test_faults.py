"""What a listener is warned of, whichever backend made the sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lofi_runtime.audio_format import AudioFormat
from lofi_runtime.backend import Audio, Request
from lofi_runtime.errors import BackendError
from lofi_runtime.faults import faults
from lofi_runtime.generation import make_track
from lofi_runtime.loudness import PEAK_DBFS, TARGET_LUFS, integrated_loudness
from lofi_runtime.repetition import MOST_REPEATED, repeated_share
from lofi_runtime.synth.backend import ProceduralBackend
from tests.support.true_peak import true_peak_dbfs

CLIPS = sorted((Path(__file__).parents[2] / "docs" / "nano").glob("*.ogg"))
REQUESTS = {
    "drums": Request("boom bap, 90 bpm", 20, 1, style="CORE-01"),
    "four on the floor": Request("house beat 120 bpm, four on the floor", 20, 2),
    "a drone": Request("ambient drone, no drums", 20, 3),
}


def quiet(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def procedural() -> dict[str, np.ndarray]:
    backend = ProceduralBackend()
    return {name: backend.generate(one, quiet).samples for name, one in REQUESTS.items()}


def looped(samples: np.ndarray, seconds: float) -> np.ndarray:
    piece = samples[:, 5 * 48_000 :][:, : round(seconds * 48_000)]
    return np.tile(piece, (1, samples.shape[1] // piece.shape[1] + 1))[:, : samples.shape[1]]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_procedural_track_has_its_loudness_true_peak_and_no_fault(procedural, name):
    samples = procedural[name]
    assert integrated_loudness(samples) == pytest.approx(TARGET_LUFS, abs=1.0)
    assert true_peak_dbfs(samples) <= PEAK_DBFS
    assert faults(samples) == ()
    assert repeated_share(samples)[0] < MOST_REPEATED / 3


@pytest.mark.parametrize("clip", CLIPS, ids=lambda path: path.stem)
def test_the_embedded_base_is_not_called_repetitive(clip):
    samples, _ = soundfile.read(clip, dtype="float32")
    assert repeated_share(samples.T)[0] < MOST_REPEATED / 3


def test_there_are_clips_of_the_embedded_base():
    assert len(CLIPS) == 4


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("seconds", [0.77, 1.0, 1.37, 2.0])
def test_a_stuck_loop_is_said_with_its_length(procedural, name, seconds):
    share, lag_sec = repeated_share(looped(procedural[name], seconds))
    assert share > 2 * MOST_REPEATED
    assert (lag_sec / seconds) % 1 == pytest.approx(0, abs=0.05) or seconds - lag_sec < 0.05


def test_a_loop_under_hiss_or_swelling_is_still_one(procedural):
    samples = looped(procedural["drums"], 1.0)
    hiss = np.random.default_rng(0).normal(size=samples.shape) * samples.std() / 20
    swell = 1.0 + 0.1 * np.sin(2 * np.pi * 0.13 * np.arange(samples.shape[1]) / 48_000)
    for near in (samples + hiss, samples * swell):
        (warning,) = faults(near.astype(np.float32))
        assert warning.startswith("repetitive: ")
        assert warning.endswith(" of the track repeats what was heard 1.0 s before")


def test_a_track_that_gets_stuck_half_way_is_said(procedural):
    samples = procedural["a drone"].copy()
    half = samples.shape[1] // 2
    samples[:, half:] = looped(samples, 1.0)[:, half:]
    (warning,) = faults(samples)
    assert warning.startswith("repetitive: 4")


def test_silence_and_a_constant_repeat_nothing():
    for level in (0.0, 0.1):
        assert repeated_share(np.full((2, 10 * 48_000), level, np.float32)) == (0.0, 0.0)
    half = np.random.default_rng(0).normal(size=(2, 10 * 48_000)).astype(np.float32) * 0.1
    half[:, 48_000:] = 0
    assert faults(half) == ("mostly silent: 90% of the track",)
    assert faults(np.zeros((2, 10 * 48_000), np.float32)) == ("silent",)


def test_what_is_too_short_to_tell_is_not_called_repetitive():
    assert repeated_share(np.ones((2, 100), np.float32)) == (0.0, 0.0)
    assert repeated_share(np.ones((2, 3 * 48_000), np.float32)) == (0.0, 0.0)


class Backend:
    """Hands back prepared samples."""

    type, name, model_version, device = "procedural", "Prepared", "prepared 1", "cpu"
    min_duration_sec, max_duration_sec = 1, 600

    def __init__(self, samples: np.ndarray, warnings: tuple[str, ...] = ()) -> None:
        self._audio = Audio(samples.astype(np.float32), warnings)

    def generate(self, request: Request, progress: object) -> Audio:
        return self._audio


def test_faults_are_told_once_beside_a_backends_own_warnings(procedural, tmp_path):
    loop = looped(procedural["drums"], 1.0) * 3.0
    made = make_track(
        Backend(loop, ("its own",)), REQUESTS["drums"], tmp_path / "x", "", quiet,
        AudioFormat("flac", 16),
    )  # fmt: skip
    assert [warning.partition(" ")[0] for warning in made.warnings] == [
        "its", "distorted:", "repetitive:",
    ]  # fmt: skip


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [AudioFormat(), AudioFormat("wav", 32), AudioFormat("mp3", None)])
def test_no_format_is_ever_written_with_values_that_are_no_numbers(tmp_path, bad, form):
    samples = np.zeros((2, 48_000))
    samples[1, 7] = bad
    request = replace(REQUESTS["drums"], duration_sec=1)
    with pytest.raises(BackendError, match="made samples that are not numbers"):
        make_track(Backend(samples), request, tmp_path / "x", "", quiet, form)
    assert list(tmp_path.iterdir()) == []
