"""What is lost by encoding and decoding: DCAE and vocoder, beside codecs that people know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

from lofi_engine.base_quality.bench import Bench
from lofi_engine.base_quality.codecs import through_mp3, through_mu_law
from lofi_engine.base_quality.material import Piece, stretch
from lofi_engine.base_quality.results import HIGHER, Goal, Result, Row, mean_row
from lofi_engine.metrics.clips import Clip

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.metrics.paired import PairedMetric

    Samples = npt.NDArray[np.float32]

NAME = "reconstruction"
LEAST_VISQOL = 3.0
BOTH, VOCODER = "DCAE and vocoder", "vocoder alone"
MP3, MU_LAW = "MP3 at 128 kbit/s", "8-bit mu-law"
_METRICS = {
    "mel": "log-mel error",
    "mrstft": "multi-resolution STFT distance",
    "visqol": "ViSQOL, audio mode",
}


def measure(bench: Bench) -> Result:
    """Hold decoded tracks against what was encoded, at the base's own sample rate.

    Raises:
        MetricError: ViSQOL's package is not installed, or a decoded track cannot be measured.
        StageError: there are too few held-out pieces.
    """
    pieces = bench.material.held_out(bench.settings.tracks)
    ways, metrics = _ways(bench), _metrics(bench)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        bench.say(number, len(pieces), "encode, decode and compare")
        original = _original(bench, piece)
        for way, through in ways.items():
            found = _clip(bench, piece, through(original))
            for metric in metrics:
                held = metric.hold(found, _clip(bench, piece, original), f"{way}: {piece.name}")
                values[metric.name, way].append(held.value)
    bench.say(len(pieces), len(pieces), "encode, decode and compare")
    rows = [row for metric in metrics for row in _rows(metric, values)]
    stated = {**bench.settings.stated(), "tracks": len(pieces)}
    return Result(NAME, stated, tuple(rows))


def _ways(bench: Bench) -> Mapping[str, Callable[[Samples], Samples]]:
    sample_rate = bench.base.sample_rate
    return {
        BOTH: lambda samples: _coded(bench.base, samples),
        VOCODER: lambda samples: _vocoded(bench.base, samples),
        MP3: lambda samples: through_mp3(samples, sample_rate),
        MU_LAW: through_mu_law,
    }


def _metrics(bench: Bench) -> list[PairedMetric]:
    from lofi_engine.metrics.spectral import LogMelDistance, MultiResolutionStft
    from lofi_engine.metrics.visqol import VisqolAudio

    seed = bench.settings.seed
    return [LogMelDistance(seed=seed), MultiResolutionStft(seed=seed), VisqolAudio(seed=seed)]


def _rows(metric: PairedMetric, values: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    """Give a row of the whole way beside the codecs, and one of the vocoder."""
    what = _METRICS[metric.name]
    codecs = {way: fmean(values[metric.name, way]) for way in (MP3, MU_LAW)}
    goal = Goal(LEAST_VISQOL, HIGHER) if metric.name == "visqol" else None
    both, vocoder = (values[metric.name, way] for way in (BOTH, VOCODER))
    return [
        mean_row(f"{what}: {BOTH}", both, metric.unit, beside=codecs, goal=goal, counted="tracks"),
        mean_row(f"{what}: {VOCODER}", vocoder, metric.unit, counted="tracks"),
    ]


def _original(bench: Bench, piece: Piece) -> Samples:
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.pipeline.resample import resample

    found: Samples = resample(
        stretch(piece, bench.settings.duration_sec), SAMPLE_RATE, bench.base.sample_rate
    )
    return found


def _clip(bench: Bench, piece: Piece, samples: Samples) -> Clip:
    return Clip(piece.name, samples, bench.base.sample_rate)


def _coded(base: Any, samples: Samples) -> Samples:
    decoded: Samples = base.decode_audio(base.encode_audio(samples, base.sample_rate)[None])[0]
    return decoded[:, : samples.shape[1]]


def _vocoded(base: Any, samples: Samples) -> Samples:
    """Give what the vocoder makes of the sound's own log-mel, one channel at a time."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    frames = torch.from_numpy(np.ascontiguousarray(samples))
    with torch.inference_mode():
        log_mel = base.vocoder.mel_transform(F.pad(frames, (0, -frames.shape[1] % 4096)))
        channels = [base.vocoder(one[None])[0, 0] for one in log_mel]
    found: Samples = torch.stack(channels).numpy()
    return found[:, : samples.shape[1]]
