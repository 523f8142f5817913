from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lofi_engine.audio.convert import fold
from lofi_engine.audio.decode import DecodeError, decode
from lofi_engine.data.size import size_fault
from tests.support.audio_folder import tune
from tests.support.programs import require

try:
    import av
except ImportError:  # the fixture below says so
    av = None


@pytest.fixture(autouse=True, scope="module")
def _needs_the_extra():
    require("m4a")


def write_m4a(
    path: Path, samples: np.ndarray, rate: int = 44_100, codec: str = "aac", layout: str = "stereo"
) -> Path:
    """Encode (samples, channels) with FFmpeg's own encoders, index first."""
    with av.open(str(path), "w", format="ipod", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        if codec == "aac":
            stream.bit_rate = 192_000
        else:
            stream.format = "s16p"
        samples = np.ascontiguousarray(samples.T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.pts, frame.time_base = 0, Fraction(1, rate)  # so that the encoder's delay is noted
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=None)
        fifo = av.AudioFifo()
        for converted in resampler.resample(frame):
            fifo.write(converted)
        size = stream.codec_context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DecodeError) as refused:
        decode(path)
    assert str(path.parent) not in str(refused.value)
    return refused.value.message


def test_aac_decodes_to_the_sound_that_was_encoded(tmp_path):
    sound = tune(3.0, 44_100, seed=1)
    decoded = decode(write_m4a(tmp_path / "a.m4a", sound))
    assert (decoded.format, decoded.subtype, decoded.lossy) == ("M4A", "AAC", True)
    assert (decoded.sample_rate, decoded.channels) == (44_100, 2)
    assert decoded.duration_sec == pytest.approx(3.0, abs=0.06)
    error = decoded.samples[:, 5_000:100_000] - sound.T[:, 5_000:100_000]
    assert np.sqrt(np.mean(error**2)) < 0.02


def test_apple_lossless_comes_back_bit_for_bit(tmp_path):
    steps = np.round(tune(2.0, 48_000, seed=2) * 32_768) / 32_768
    decoded = decode(write_m4a(tmp_path / "a.m4a", steps, 48_000, "alac"))
    assert (decoded.subtype, decoded.lossy) == ("ALAC_16", False)
    assert np.array_equal(decoded.samples, steps.T.astype(np.float32))


def test_the_container_is_known_by_its_content_and_only_the_wanted_part_is_kept(tmp_path):
    path = write_m4a(tmp_path / "a.mp3", tune(3.0, 44_100, seed=1))
    decoded = decode(path, keep_sec=1.0)
    assert (decoded.format, decoded.samples.shape) == ("M4A", (2, 44_100))
    assert size_fault(path, 10.0) == ""


def test_six_channels_fold_down_by_the_places_the_file_names(tmp_path):
    seconds = np.arange(88_200) / 44_100
    six = np.zeros((88_200, 6))
    six[:, 2] = 0.5 * np.sin(2 * np.pi * 440 * seconds)  # FFmpeg's 5.1: FL FR FC LFE BL BR
    decoded = decode(write_m4a(tmp_path / "a.m4a", six, layout="5.1"))
    assert decoded.layout == ("L", "R", "C", "LFE", "Lb", "Rb")
    left, right = np.sqrt(np.mean(fold(decoded)[:, 10_000:80_000] ** 2, axis=1))
    assert left == pytest.approx(0.5 * 0.5, rel=0.02)
    assert right == pytest.approx(left, rel=0.02)


def test_damage_and_a_cut_are_refused_by_name(tmp_path):
    whole = write_m4a(tmp_path / "a.m4a", tune(6.0, 44_100, seed=3)).read_bytes()
    (tmp_path / "cut.m4a").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "cut.m4a").startswith(("cut short: ", "corrupt: decoding stops"))
    middle = len(whole) // 2
    noise = np.random.default_rng(0).bytes(20_000)
    (tmp_path / "bad.m4a").write_bytes(whole[:middle] + noise + whole[middle + 20_000 :])
    assert refusal(tmp_path / "bad.m4a").startswith("corrupt: decoding stops after ")
    (tmp_path / "head.m4a").write_bytes(whole[:24])
    assert refusal(tmp_path / "head.m4a").startswith("no audio can be decoded from it (")


def test_without_the_extra_the_refusal_names_it(tmp_path, monkeypatch):
    path = write_m4a(tmp_path / "a.m4a", tune(1.0, 44_100, seed=1))
    monkeypatch.setitem(sys.modules, "av", None)
    assert refusal(path) == "m4a needs an extra: pip install 'lofi-recipe[m4a]'"
