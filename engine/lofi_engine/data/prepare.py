"""Turns one source into one finished track, or says why not. Runs in a child process.

A finished unit is a folder holding `result.json` and, for a good track, its audio and its
fingerprint; it appears by a rename, so a kill leaves either all of it or nothing that looks done.
Whatever a strange file makes a library raise refuses that file and no other; only the disk ends
the run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.audio.decode import Decoded, DecodeError, decode
from lofi_engine.data.judging import (
    OFFSET_REMOVED_ABOVE,
    loudness_notes,
    quality_faults,
    source_notes,
)
from lofi_engine.data.score import quality_score
from lofi_engine.data.size import size_fault
from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.recipe.model import Quality
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESULT_NAME = "result.json"
FINGERPRINT_NAME = "fingerprint.npy"
WORK_VERSION = 4
"""Raised when the same source and limits would leave another unit; part of curate's key."""

_SCORE_KEYS = ("prompt", "lyrics", "tempo_bpm", "key", "moods", "instruments", "vocal_type", "seed")
_PART_SUFFIX = ".part"


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
        quality_score: how good the source measures, 0 to 100 (`lofi_engine.data.score`); 0 where
            nothing could be measured.
        score_parts: the points lost, by part.
    """

    reasons: tuple[str, ...] = ()
    file: str = ""
    audio_sha256: str = ""
    duration_sec: float = 0.0
    measurements: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    score: Mapping[str, Any] = field(default_factory=dict)
    quality_score: float = 0.0
    score_parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sound:
    """What goes on from a source. The rest is let go.

    Args:
        samples: (1 or 2, samples).
        sample_rate: the source's own.
        overview: see `Decoded`.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    overview: npt.NDArray[np.float32] | None

    @classmethod
    def of(cls, decoded: Decoded) -> _Sound:
        from lofi_engine.audio.convert import fold

        return cls(fold(decoded), decoded.sample_rate, decoded.overview)


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
        if result.file and not (folder / FINGERPRINT_NAME).is_file():
            return None
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
        sound, result = _look(job)
    except Exception as error:  # strangers' files through C libraries: anything can come
        return Prepared(reasons=(_unforeseen(error),))
    return _leave(job, unit, sound, result)


def _look(job: Job) -> tuple[_Sound | None, Prepared]:
    """Read or synthesise the source and judge it; without sound where nothing is to be written."""
    sound, result = _read(job) if isinstance(job, FileJob) else _synthesise(job)
    if sound is None or result.reasons or (isinstance(job, FileJob) and not job.wanted):
        return None, result
    return sound, result


def _leave(job: Job, unit: Path, sound: _Sound | None, result: Prepared) -> Prepared:
    """Write the unit beside its place and put it there."""
    from soundfile import LibsndfileError

    part = unit.with_name(f"{unit.name}{_PART_SUFFIX}{os.getpid()}")
    part.mkdir(parents=True)
    try:
        if sound is not None:
            result = _finish(sound, job.quality, part, result)
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


def _read(job: FileJob) -> tuple[_Sound | None, Prepared]:
    keep_sec = job.quality.max_duration_sec
    if too_much := size_fault(job.path, keep_sec):
        return None, Prepared(reasons=(too_much,))
    try:
        decoded = decode(job.path, keep_sec=keep_sec, window=job.quality.window, overview=True)
    except DecodeError as error:
        return None, Prepared(reasons=(error.message,))
    sound = _Sound.of(decoded)
    measurements = _measure(decoded, sound)
    if decoded.lossy:
        from lofi_engine.audio.bitrate import bitrate_kbps

        measurements["bitrate_kbps"] = bitrate_kbps(job.path, decoded.duration_sec)
    notes = tuple(source_notes(measurements, decoded, job.quality))
    return sound, _judged(measurements, job.quality, notes=notes)


def _synthesise(job: SynthJob) -> tuple[_Sound, Prepared]:
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.synth import compose, describe, render

    score = compose(job.prompt, seed=job.seed, duration_sec=job.duration_sec, style=job.style)
    samples = render(score)
    decoded = Decoded(samples, SAMPLE_RATE, samples.shape[1] / SAMPLE_RATE, "SYNTH", "FLOAT")
    said = describe(score)
    sound = _Sound.of(decoded)
    played = {key: said[key] for key in _SCORE_KEYS}
    return sound, _judged(_measure(decoded, sound), job.quality, score=played)


def _judged(measurements: Mapping[str, Any], quality: Quality, **said: Any) -> Prepared:
    total, parts = quality_score(measurements)
    return Prepared(
        reasons=tuple(quality_faults(measurements, quality)),
        measurements=measurements,
        quality_score=total,
        score_parts=parts,
        **said,
    )


def _measure(decoded: Decoded, sound: _Sound) -> dict[str, Any]:
    from lofi_engine.audio.measure import measure

    return {
        "format": decoded.format,
        "subtype": decoded.subtype,
        "sample_rate": decoded.sample_rate,
        "channels": decoded.channels,
        "duration_sec": round(decoded.duration_sec, 3),
        **asdict(measure(decoded.samples, decoded.sample_rate, sound.samples)),
    }


def _finish(sound: _Sound, quality: Quality, part: Path, result: Prepared) -> Prepared:
    from lofi_engine.audio import convert
    from lofi_engine.audio.write import write_track

    samples = sound.samples
    if abs(result.measurements["dc_offset"]) > OFFSET_REMOVED_ABOVE:
        samples = convert.without_offset(samples)
    samples = convert.resample(samples, sound.sample_rate)
    _leave_fingerprint(part / FINGERPRINT_NAME, samples, sound.overview)
    notes = result.notes
    if quality.loudness_lufs is None:
        gain = convert.gain_to_peak(samples, quality.peak_dbfs)
    else:
        asked = quality.loudness_lufs
        gain, reached = convert.gain_to_loudness(samples, asked, quality.peak_dbfs)
        notes = (*notes, *loudness_notes(reached, asked, quality.peak_dbfs))
    file = f"audio.{quality.format}"
    write_track(part / file, convert.both_sides(samples), gain)
    return replace(
        result,
        file=file,
        audio_sha256=hash_file(part / file),
        duration_sec=round(samples.shape[1] / convert.SAMPLE_RATE, 6),
        notes=notes,
    )


def _leave_fingerprint(
    path: Path, samples: npt.NDArray[np.float32], overview: npt.NDArray[np.float32] | None
) -> None:
    """Write what near duplicates are found by; the gain that follows changes nothing of it.

    A track of which a part is kept is known by the whole: another copy may keep another part.
    """
    import numpy as np

    from lofi_engine.audio.fingerprint import ANALYSIS_RATE, fingerprint
    from lofi_runtime.backend import SAMPLE_RATE

    drawn = (
        fingerprint(samples, SAMPLE_RATE)
        if overview is None
        else fingerprint(overview, ANALYSIS_RATE)
    )
    np.save(path, drawn, allow_pickle=False)
