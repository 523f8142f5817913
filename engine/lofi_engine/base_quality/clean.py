"""What ears would complain of: buzz at the frame rate, steady tones, seams, silence, clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from lofi_engine.base_quality import lines
from lofi_engine.base_quality.bench import Bench
from lofi_engine.base_quality.distance import generated, originals
from lofi_engine.base_quality.material import stretch
from lofi_engine.base_quality.results import Result, Row, mean_row, share_row
from lofi_engine.base_quality.seams import seam_db
from lofi_engine.base_quality.shelf import KeptClips

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

NAME = "clean"
FRAME_RATES_HZ = {"vocoder frame": 44_100 / 512, "latent frame": 44_100 / 4096}
STEADY_DB = 20.0
"""What stands out by so much in nine tenths of all moments is called a steady tone."""
SEAM_SEC, SEAM_TRACKS = 30, 4
_HIGHEST_HZ = {"vocoder frame": 16_000.0, "latent frame": 2_000.0}
_LOWEST_HZ = 60.0
_ORIGINALS = "the pieces themselves"


@dataclass(frozen=True)
class _Heard:
    """What was measured of a set, one value a clip.

    Args:
        combs: by frame, how far multiples of its rate stand out, in dB.
        throbs: by frame, how far the loudness swings at its rate, in dB.
        tones: the steadiest tone, in dB.
        common: the prominences that all clips have, the mean over them.
    """

    combs: dict[str, list[float]]
    throbs: dict[str, list[float]]
    tones: list[float]
    common: Values


def measure(bench: Bench) -> Result:
    """Look for faults in the generated clips, and for the same in the pieces themselves.

    Raises:
        StageError: there are too few held-out pieces.
        BackendError: the base gives values that are not numbers.
    """
    clips, played = generated(bench), originals(bench)
    mine, theirs = _hear(bench, clips), _hear(bench, played)
    rows = [
        *_frame_rows(mine, theirs),
        *_tone_rows(mine, theirs),
        *_warning_rows(clips),
        _seam_row(bench),
    ]
    return Result(NAME, {**bench.settings.stated(), "seam_sec": SEAM_SEC}, tuple(rows))


def _hear(bench: Bench, clips: KeptClips) -> _Heard:
    combs: dict[str, list[float]] = {frame: [] for frame in FRAME_RATES_HZ}
    throbs: dict[str, list[float]] = {frame: [] for frame in FRAME_RATES_HZ}
    tones: list[float] = []
    total: Values | float = 0.0
    for number, name in enumerate(clips.names):
        bench.say(number, len(clips.names), f"look for faults in {clips.label}")
        clip = clips.clip(name)
        found = lines.prominences_db(clip.samples)
        total = total + found
        tones.append(lines.steadiest_tone_db(clip.samples, clip.sample_rate, _LOWEST_HZ))
        for frame, rate_hz in FRAME_RATES_HZ.items():
            highest_hz = _HIGHEST_HZ[frame]
            combs[frame].append(lines.comb_db(found, rate_hz, clip.sample_rate, highest_hz))
            throbs[frame].append(lines.throb_db(clip.samples, clip.sample_rate, rate_hz))
    return _Heard(combs, throbs, tones, total / len(clips.names))  # type: ignore[arg-type]


def _frame_rows(mine: _Heard, theirs: _Heard) -> list[Row]:
    rows = []
    for frame, rate_hz in FRAME_RATES_HZ.items():
        where = f"{rate_hz:.2f} Hz, the {frame} rate"
        for what, of_mine, of_theirs in (
            (f"lines at multiples of {where}", mine.combs, theirs.combs),
            (f"throb at {where}", mine.throbs, theirs.throbs),
        ):
            beside = {_ORIGINALS: fmean(of_theirs[frame])}
            rows.append(mean_row(what, of_mine[frame], "dB", beside=beside))
    return rows


def _tone_rows(mine: _Heard, theirs: _Heard) -> list[Row]:
    rate = 48_000
    at_hz, common_db = lines.strongest_line(mine.common, rate, _LOWEST_HZ)
    other_hz, other_db = lines.strongest_line(theirs.common, rate, _LOWEST_HZ)
    steady, originals_steady = (
        sum(tone >= STEADY_DB for tone in heard.tones) for heard in (mine, theirs)
    )
    n = len(mine.tones)
    return [
        Row(
            "strongest line that all clips share",
            common_db,
            unit="dB",
            n=n,
            beside={_ORIGINALS: other_db},
            note=f"at {at_hz:.0f} Hz; of the pieces at {other_hz:.0f} Hz",
        ),
        share_row(
            f"clips with a steady tone ({STEADY_DB:.0f} dB in 90 % of the time)",
            steady,
            n,
            beside={_ORIGINALS: 100.0 * originals_steady / len(theirs.tones)},
        ),
    ]


def _warning_rows(clips: KeptClips) -> list[Row]:
    warnings = [clips.warnings(name) for name in clips.names]
    return [
        share_row(f"clips {what}", _count(warnings, word), len(warnings))
        for what, word in (("clipped by more than 0.1 %", "distorted"), ("mostly silent", "silent"))
    ]


def _count(warnings: Sequence[tuple[str, ...]], word: str) -> int:
    return sum(any(word in warning for warning in one) for one in warnings)


def _seam_row(bench: Bench) -> Row:
    """Decode held-out tracks in pieces and whole; a base on an accelerator is asked there."""
    from lofi_runtime.backend import SAMPLE_RATE

    found, borders = [], 0
    for number, piece in enumerate(bench.material.held_out(SEAM_TRACKS)):
        bench.say(number, SEAM_TRACKS, "decode in pieces")
        latents = bench.base.encode_audio(stretch(piece, SEAM_SEC), SAMPLE_RATE)[None]
        left_db, count = seam_db(bench.base, latents.numpy())
        found.append(left_db)
        borders += count
    return mean_row(
        "error where decoded pieces meet, against the track",
        found,
        "dB",
        counted="tracks",
        note=f"{borders} borders in tracks of {SEAM_SEC} s",
    )
