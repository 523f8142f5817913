"""Turns one source into one finished track, or says why not. Runs in a child process.

A finished unit is a folder holding `result.json` and, for a good track, its audio; it appears by a
rename, so a kill leaves either all of it or nothing that looks done. Whatever a strange file makes
a library raise refuses that file and no other; only the disk ends the run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.audio.decode import Decoded, DecodeError, decode
from lofi_engine.data.size import size_fault
from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.recipe.model import Quality
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESULT_NAME = "result.json"
WORK_VERSION = 2
"""Raised when the same source and limits would leave another unit; part of curate's key."""

_SCORE_KEYS = ("prompt", "lyrics", "tempo_bpm", "key", "moods", "instruments", "vocal_type", "seed")
_PART_SUFFIX = ".part"
_OFFSET_REMOVED_ABOVE = 0.005
_RECODED_BELOW_HZ = 16_500
_RECODED_FROM_KBPS = 256


@dataclass(frozen=True)
class FileJob:
    """A file to bring into the dataset.

    Args:
        path: the file.
        sha256: of its bytes.
        quality: what it must measure.
        wanted: False only measures it: something else already refuses it.
    """

    path: Path
    sha256: str
    quality: Quality
    wanted: bool = True


@dataclass(frozen=True)
class SynthJob:
    """A track to synthesise.

    Args:
        prompt: what to ask for.
        seed: of the composition.
        duration_sec: of the track.
        style: a style id, or "".
        quality: what it must measure, as any track.
    """

    prompt: str
    seed: int
    duration_sec: float
    style: str
    quality: Quality


Job = FileJob | SynthJob


@dataclass(frozen=True)
class Prepared:
    """What came of a job.

    Args:
        reasons: why the track is refused; empty for a good one.
        file: the audio's name in the unit's folder, "" without.
        audio_sha256: of that file.
        duration_sec: of that audio.
        measurements: of the source, before any gain.
        notes: what a human should know.
        score: what the synthesiser says it played.
    """

    reasons: tuple[str, ...] = ()
    file: str = ""
    audio_sha256: str = ""
    duration_sec: float = 0.0
    measurements: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    score: Mapping[str, Any] = field(default_factory=dict)


def job_key(job: Job) -> str:
    """Hash what shapes a job's unit; where the file lies does not."""
    content = {**asdict(job), "version": WORK_VERSION, "kind": type(job).__name__}
    content.pop("path", None)
    return hash_value(content)[:32]


def load_unit(folder: Path) -> Prepared | None:
    """Read a finished unit; None when there is none, or its audio is not what was written."""
    try:
        content = read_json(folder / RESULT_NAME)
        lists: dict[str, Any] = {key: tuple(content.pop(key)) for key in ("reasons", "notes")}
        result = Prepared(**lists, **content)
        if result.file and hash_file(folder / result.file) != result.audio_sha256:
            return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return result


def prepare(job: Job, unit: Path) -> Prepared:
    """Do a job and leave its unit.

    A source that makes a library fail in a way nobody foresaw (memory included) comes back refused
    and leaves no unit: another run tries it again.

    Args:
        job: what to do.
        unit: the folder to make; what stood there is replaced.

    Raises:
        OSError: the disk; a bad source raises nothing.
    """
    try:
        decoded, result = _look(job)
    except Exception as error:  # strangers' files through C libraries: anything can come
        return Prepared(reasons=(_unforeseen(error),))
    return _leave(job, unit, decoded, result)


def _look(job: Job) -> tuple[Decoded | None, Prepared]:
    """Read or synthesise the source and judge it; without sound where nothing is to be written."""
    decoded, result = _read(job) if isinstance(job, FileJob) else _synthesise(job)
    if decoded is None or result.reasons or (isinstance(job, FileJob) and not job.wanted):
        return None, result
    return decoded, result


def _leave(job: Job, unit: Path, decoded: Decoded | None, result: Prepared) -> Prepared:
    """Write the unit beside its place and put it there."""
    from soundfile import LibsndfileError

    part = unit.with_name(f"{unit.name}{_PART_SUFFIX}{os.getpid()}")
    part.mkdir(parents=True)
    try:
        if decoded is not None:
            result = _finish(decoded, job.quality, part, result)
        write_json(part / RESULT_NAME, asdict(result))
        shutil.rmtree(unit, ignore_errors=True)
        part.rename(unit)
    except (OSError, LibsndfileError):  # so libsndfile calls a full disk
        raise
    except Exception as error:  # as above: the sound still goes through C libraries
        return Prepared(reasons=(_unforeseen(error),))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return result


def _unforeseen(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory to prepare it"
    # Only the kind: the text may name a place on this machine.
    return f"cannot be prepared ({type(error).__name__})"


def _read(job: FileJob) -> tuple[Decoded | None, Prepared]:
    keep_sec = job.quality.max_duration_sec
    if too_much := size_fault(job.path, keep_sec):
        return None, Prepared(reasons=(too_much,))
    try:
        decoded = decode(job.path, keep_sec=keep_sec)
    except DecodeError as error:
        return None, Prepared(reasons=(error.message,))
    measurements = _measure(decoded)
    if decoded.lossy:
        from lofi_engine.audio.bitrate import bitrate_kbps

        measurements["bitrate_kbps"] = bitrate_kbps(job.path, decoded.duration_sec)
    return decoded, Prepared(
        reasons=tuple(quality_faults(measurements, job.quality)),
        measurements=measurements,
        notes=tuple(_notes(measurements, job.quality)),
    )


def _synthesise(job: SynthJob) -> tuple[Decoded, Prepared]:
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.synth import compose, describe, render

    score = compose(job.prompt, seed=job.seed, duration_sec=job.duration_sec, style=job.style)
    samples = render(score)
    decoded = Decoded(samples, SAMPLE_RATE, samples.shape[1] / SAMPLE_RATE, "SYNTH", "FLOAT")
    said = describe(score)
    measurements = _measure(decoded)
    return decoded, Prepared(
        reasons=tuple(quality_faults(measurements, job.quality)),
        measurements=measurements,
        score={key: said[key] for key in _SCORE_KEYS},
    )


def _measure(decoded: Decoded) -> dict[str, Any]:
    from lofi_engine.audio.measure import bandwidth_hz, measure

    return {
        "format": decoded.format,
        "subtype": decoded.subtype,
        "sample_rate": decoded.sample_rate,
        "channels": decoded.channels,
        "duration_sec": round(decoded.duration_sec, 3),
        "bandwidth_hz": bandwidth_hz(decoded.samples, decoded.sample_rate),
        **asdict(measure(decoded.samples, decoded.sample_rate)),
    }


def quality_faults(measurements: Mapping[str, Any], quality: Quality) -> Iterator[str]:
    """Say what about a source is not good enough, one clause for each fault.

    Args:
        measurements: of the source.
        quality: the recipe's limits.
    """
    duration_sec = measurements["duration_sec"]
    if duration_sec < quality.min_duration_sec:
        yield f"too short: {duration_sec:.1f} s, at least {quality.min_duration_sec:g} s are needed"
    if measurements["silent"] > quality.max_silent or measurements["rms_dbfs"] <= -120:
        yield (
            f"silent: {100 * measurements['silent']:.0f} % of it is silence, "
            f"at most {100 * quality.max_silent:g} % is allowed"
        )
    if measurements["clipped"] > quality.max_clipped:
        yield (
            f"clipped: {100 * measurements['clipped']:.2f} % of its samples, "
            f"at most {100 * quality.max_clipped:g} % is allowed"
        )
    bitrate = measurements.get("bitrate_kbps")
    if bitrate is not None and bitrate < quality.min_bitrate_kbps:
        yield f"bitrate {bitrate} kbps, lossy files need at least {quality.min_bitrate_kbps}"


def _notes(measurements: Mapping[str, Any], quality: Quality) -> Iterator[str]:
    if measurements["duration_sec"] > quality.max_duration_sec:
        yield f"cut to its first {quality.max_duration_sec:g} s"
    if abs(measurements["dc_offset"]) > _OFFSET_REMOVED_ABOVE:
        yield f"an offset of {measurements['dc_offset']:.3f} was taken out"
    bandwidth_hz = measurements["bandwidth_hz"]
    if (
        measurements.get("bitrate_kbps", 0) >= _RECODED_FROM_KBPS
        and bandwidth_hz < _RECODED_BELOW_HZ
    ):
        yield (
            f"nothing above {bandwidth_hz / 1000:.1f} kHz: perhaps it was encoded before at a "
            "lower bitrate, or filtered on purpose"
        )


def _finish(decoded: Decoded, quality: Quality, part: Path, result: Prepared) -> Prepared:
    from lofi_engine.audio import convert
    from lofi_engine.audio.write import write_track

    samples: npt.NDArray[np.float32] = convert.to_stereo(decoded)
    if abs(result.measurements["dc_offset"]) > _OFFSET_REMOVED_ABOVE:
        samples = convert.without_offset(samples)
    samples = convert.resample(samples, decoded.sample_rate)
    file = f"audio.{quality.format}"
    write_track(part / file, convert.to_peak(samples, quality.peak_dbfs))
    return Prepared(
        reasons=(),
        file=file,
        audio_sha256=hash_file(part / file),
        duration_sec=round(samples.shape[1] / convert.SAMPLE_RATE, 6),
        measurements=result.measurements,
        notes=result.notes,
        score=result.score,
    )
