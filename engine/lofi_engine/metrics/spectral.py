"""How far spectra are apart: multi-resolution STFT and log-mel distance of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics import mel, stft
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.figures import LOWER
from lofi_engine.metrics.paired import Held, PairedMetric

_SEEN = frozenset({"quantization", "low-pass", "noise", "clipping", "buzz"})


class MultiResolutionStft(PairedMetric):
    """Spectral convergence plus log magnitude at three resolutions (`metrics.stft`).

    0 for the same sound. The level counts: a clip at half of its pair's has 0.5 + ln 2 = 1.19.

    A changed tempo is no claim: what is no longer played at the same time is soon as far away as
    another track, however little it is late.
    """

    name = "mrstft"
    title = "multi-resolution STFT distance of every clip from its pair; lower is better"
    sees = _SEEN
    better = LOWER

    def hold(self, found: Clip, reference: Clip, label: str) -> Held:
        """Measure one pair."""
        _check_length(found, stft.SHORTEST_SAMPLES, label)
        distance = stft.stft_distance(found.samples, reference.samples)
        return Held(
            distance.total,
            {
                "spectral_convergence": distance.convergence,
                "log_magnitude": distance.log_magnitude,
            },
        )

    def settings(self) -> Mapping[str, Any]:
        """State the transforms: (FFT size, hop, window) in samples."""
        return {"resolutions": [list(astuple(one)) for one in stft.RESOLUTIONS]}


class LogMelDistance(PairedMetric):
    """Mean absolute difference of the levels in 128 mel bands, in dB (`metrics.mel`).

    0 for the same sound. The level counts: 6 dB louder everywhere is 6 dB away.
    """

    name = "mel"
    title = "log-mel distance of every clip from its pair in dB; lower is better"
    sees = _SEEN
    better = LOWER
    unit = "dB"

    def hold(self, found: Clip, reference: Clip, label: str) -> Held:
        """Measure one pair."""
        _check_length(found, mel.shortest_samples(found.sample_rate), label)
        return Held(mel.mel_distance_db(found.samples, reference.samples, found.sample_rate))

    def settings(self) -> Mapping[str, Any]:
        """State bands, window, hop and floor."""
        return {
            "bands": mel.BANDS,
            "band_limits_hz": [mel.LOWEST_HZ, mel.HIGHEST_HZ],
            "fft_size": mel.FFT_SIZE,
            "hop": mel.HOP,
            "floor_db": mel.FLOOR_DB,
        }


def _check_length(clip: Clip, shortest: int, label: str) -> None:
    length = clip.samples.shape[1]
    if length < shortest:
        raise MetricError(
            f"{label}: {length} samples, at least {shortest} are needed",
            hint="leave it out or use longer clips",
        )
