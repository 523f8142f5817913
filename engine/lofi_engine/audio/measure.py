"""Measures a source before any gain: what the quality limits of a recipe are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.audio.levels import decibels, frame_levels, integrated_loudness, offsets, silence
from lofi_engine.audio.peaks import Tops, clipped_share, true_peak
from lofi_engine.audio.spectrum import spectrum_facts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """What a source measures. The first seven are of the file's own channels.

    Args:
        peak_dbfs: the largest absolute sample.
        true_peak_dbfs: the largest value between samples too (BS.1770, annex 2).
        clipped: share of samples that stand flat at the top, 0 to 1.
        clipped_between: share of the points between samples that are above full scale, 0 to 1.
        rms_dbfs: of the frames that are not silent, offset removed.
        silent: share of frames that are silent, 0 to 1.
        dc_offset: the largest channel mean, signed.
        crest_db: how far the peak stands above `rms_dbfs`; a sine's is 3.
        loudness_lufs: integrated, of the sound as stereo; -70 where it is too quiet to have one.
        noise_floor_dbfs: level of what is under everything, all the time.
        bandwidth_hz: where the sound ends (`SpectrumFacts`).
        cutoff_db: the largest fall of the spectrum in one step.
    """

    peak_dbfs: float
    true_peak_dbfs: float
    clipped: float
    clipped_between: float
    rms_dbfs: float
    silent: float
    dc_offset: float
    crest_db: float
    loudness_lufs: float
    noise_floor_dbfs: float
    bandwidth_hz: int
    cutoff_db: float


def measure(samples: Samples, sample_rate: int, heard: Samples | None = None) -> Measured:
    """Measure a source as decoded, before any gain.

    Args:
        samples: (channels, samples).
        sample_rate: of the samples.
        heard: (1 or 2, samples), the same folded down; left out, `samples` must be that.
    """
    import numpy as np

    heard = samples if heard is None else heard
    means = offsets(samples)
    tops = Tops(samples)
    peak_dbfs = decibels(tops.peak)
    rms_dbfs, silent = silence(frame_levels(samples, sample_rate))
    between = true_peak(samples, sample_rate, tops)
    spectrum = spectrum_facts(heard, sample_rate)
    return Measured(
        peak_dbfs=round(peak_dbfs, 3),
        true_peak_dbfs=round(decibels(between.amplitude), 3),
        clipped=round(clipped_share(samples, tops), 7),
        clipped_between=round(between.over, 7),
        rms_dbfs=round(rms_dbfs, 3),
        silent=round(silent, 5),
        dc_offset=round(float(means[np.argmax(np.abs(means))]), 6),
        crest_db=round(peak_dbfs - rms_dbfs, 3),
        loudness_lufs=round(integrated_loudness(heard, sample_rate), 2),
        noise_floor_dbfs=spectrum.noise_floor_dbfs,
        bandwidth_hz=spectrum.bandwidth_hz,
        cutoff_db=spectrum.cutoff_db,
    )
