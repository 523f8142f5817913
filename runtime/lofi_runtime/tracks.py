"""Tracks: what one is made of, its id, and the store that keeps finished ones.

Each track is two files, `<id>.wav` and the sidecar `<id>.json` that says how to make it again. The
sidecar is put in place last: a track without one does not exist.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lofi_runtime.atomic import PART, read_json, replacing
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.version import VERSION

SIDECAR_FORMAT = 1
TRACK_ID_DIGITS = 16
SAMPLE_RATE = 48_000
ORPHAN_AGE_SEC = 60
"""Sound that lies without a sidecar for so long has lost its writer between two renames."""

_SOUND = re.compile(rf"([0-9a-f]{{{TRACK_ID_DIGITS}}})\.wav")
# A part of a part has its writer last too: `..<id>.wav.<pid>.part.<pid>.part`.
_PART = re.compile(rf"\.+[0-9a-f]{{{TRACK_ID_DIGITS}}}\..*\.([0-9]+){re.escape(PART)}")


@dataclass(frozen=True)
class TrackSpec:
    """Everything that shapes a track's sound, and nothing else.

    Args:
        prompt: 1 to 1000 bytes.
        duration_sec: whole seconds.
        seed: 0 to 2**53 - 1.
        lyrics: "" for an instrumental.
        style: a style's id or "".
        style_tags: what the style adds to the prompt; "" where the backend reads the style itself.
        backend: "procedural" or "ace_step".
        model_version: of what generates, for people.
        precision: the variant used; "" where the backend has none.
        inference_steps: None, like the two below, where the backend does not denoise.
        scheduler: "euler", "heun" or "pingpong".
        guidance_scale: 1 to 30.
        model_identity: of the bundle's content: one name and release may have had several.
        pipeline_version: of the code between the model's graphs (`pipeline.VERSION`); None where
            the backend does not use it.
    """

    prompt: str
    duration_sec: int
    seed: int
    lyrics: str
    style: str
    backend: str
    model_version: str
    style_tags: str = ""
    precision: str = ""
    inference_steps: int | None = None
    scheduler: str | None = None
    guidance_scale: float | None = None
    model_identity: str = ""
    pipeline_version: int | None = None

    @property
    def track_id(self) -> str:
        """16 lowercase hex digits: sha256 of the spec as JSON with sorted keys, cut."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:TRACK_ID_DIGITS]

    def to_request(self) -> dict[str, Any]:
        """Return what a backend's `Request` takes; what is None keeps the backend's default."""
        request = {key: value for key, value in self._asked().items() if key != "backend"}
        if self.style_tags:
            request["prompt"] = f"{self.prompt}, {self.style_tags}"
        return request

    def to_params(self) -> dict[str, Any]:
        """Return the parameters of a `generate` that makes this track again."""
        return self._asked() | ({"precision": self.precision} if self.precision else {})

    def _asked(self) -> dict[str, Any]:
        made_here = {
            "model_version", "model_identity", "pipeline_version", "style_tags", "precision"
        }  # fmt: skip
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in made_here and value is not None
        }


@dataclass(frozen=True)
class Track:
    """A finished track in the store.

    Args:
        path: the audio file, absolute.
        sidecar: the whole record beside it.
    """

    path: Path
    sidecar: dict[str, Any]

    def to_notification(self) -> dict[str, Any]:
        """Return the parameters of `generation_complete`."""
        spec = self.sidecar["spec"]
        return {
            "track_id": self.sidecar["track_id"],
            "path": str(self.path),
            "duration_sec": self.sidecar["duration_sec"],
            "sample_rate": self.sidecar["sample_rate"],
            "generation_time_sec": self.sidecar["generation_time_sec"],
            "backend": spec["backend"],
            "model_version": spec["model_version"],
            "seed": spec["seed"],
            "prompt": spec["prompt"],
            "warnings": self.sidecar["warnings"],
        }


class TrackStore:
    """Keeps finished tracks in one folder.

    Args:
        folder: made when the first track is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def find(self, track_id: str) -> Track | None:
        """Return a track that is whole, or None; marks it as used just now."""
        track = self._read(track_id)
        if track is not None:
            with contextlib.suppress(OSError):
                os.utime(track.path)
        return track

    def _read(self, track_id: str) -> Track | None:
        path = self.folder / f"{track_id}.wav"
        try:
            sidecar = read_json(self._sidecar(track_id))
            is_whole = sidecar["size_bytes"] == path.stat().st_size
            is_known = sidecar["format"] == SIDECAR_FORMAT and sidecar["track_id"] == track_id
        except (OSError, ValueError, KeyError, TypeError):
            # A missing, cut or foreign sidecar: the track is made again.
            return None
        return Track(path, sidecar) if is_whole and is_known else None

    def part_path(self, track_id: str) -> Path:
        """Return where the audio is written before it is kept; the folder is made.

        Raises:
            RpcError: CACHE_WRITE_ERROR, the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(error) from error
        return self.folder / f".{track_id}.wav.{os.getpid()}{PART}"

    def keep(
        self,
        spec: TrackSpec,
        part: Path,
        *,
        duration_sec: float,
        generation_time_sec: float,
        warnings: list[str],
        license_name: str = "",
    ) -> Track:
        """Move a finished file into the store and write its sidecar: both, or neither.

        Raises:
            RpcError: CACHE_WRITE_ERROR, names the folder and why.
        """
        track_id = spec.track_id
        path = self.folder / f"{track_id}.wav"
        sidecar = {
            "format": SIDECAR_FORMAT,
            "track_id": track_id,
            "spec": asdict(spec),
            "generate": spec.to_params(),
            "duration_sec": duration_sec,
            "sample_rate": SAMPLE_RATE,
            "warnings": warnings,
            "ai_generated": True,
            "license": license_name,
            "made_with": f"lofi-runtime {VERSION}",
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "generation_time_sec": round(generation_time_sec, 3),
        }
        try:
            sidecar["size_bytes"] = part.stat().st_size
            with replacing(self._sidecar(track_id)) as aside:
                # What needs room on the disk comes before both renames.
                aside.write_text(_to_json(sidecar), encoding="utf-8")
                part.replace(path)
        except OSError as error:
            if not part.exists():
                _remove(path)
            raise self._write_error(error) from error
        return Track(path, sidecar)

    def discard(self, part: Path) -> None:
        """Remove what a cancelled or failed generation left, if anything."""
        _remove(part)

    def sweep(self) -> None:
        """Remove what killed writers left: parts, and sound without a sidecar.

        Only names this store gives are touched; the folder may hold a user's own files.
        """
        for path in self.folder.glob("*"):
            part, sound = _PART.fullmatch(path.name), _SOUND.fullmatch(path.name)
            if part and not _is_running(int(part[1])):
                _remove(path)
            if sound and not self._sidecar(sound[1]).exists() and _is_older(path, ORPHAN_AGE_SEC):
                _remove(path)

    def usage(self) -> tuple[int, int]:
        """Return how many tracks there are and their audio's bytes."""
        states = self._states()
        return len(states), sum(state.st_size for state in states.values())

    def used_times(self) -> list[float]:
        """Return when each track was used last, in seconds since 1970."""
        return [state.st_mtime for state in self._states().values()]

    def ids(self) -> list[str]:
        """Return the ids of all tracks, the one used last first."""
        states = self._states()
        return sorted(states, key=lambda track_id: (-states[track_id].st_mtime_ns, track_id))

    def tracks(self) -> list[Track]:
        """Return all tracks that are whole, the one used last first; none is marked as used."""
        found = (self._read(track_id) for track_id in self.ids())
        return [track for track in found if track is not None]

    def delete(self, track_id: str) -> int:
        """Delete a track, and give the bytes of its sound; 0 where there was none.

        The sidecar goes first: a track without one does not exist, so nobody else on this store
        finds half of it.
        """
        path = self.folder / f"{track_id}.wav"
        try:
            size_bytes = path.stat().st_size
        except OSError:
            size_bytes = 0
        _remove(self._sidecar(track_id))
        _remove(path)
        return 0 if path.exists() else size_bytes

    def shrink(self, max_bytes: int, max_count: int, keep: str = "") -> list[str]:
        """Delete what was used longest ago until both limits hold; return the ids.

        Args:
            max_bytes: of all sounds together.
            max_count: of tracks.
            keep: the id of a track that stays, however large.
        """
        states = self._states()
        left_bytes, left = sum(state.st_size for state in states.values()), len(states)
        gone = []
        for track_id in sorted(states, key=lambda one: (states[one].st_mtime_ns, one)):
            if left_bytes <= max_bytes and left <= max_count:
                break
            if track_id != keep and self.delete(track_id):
                gone.append(track_id)
                left_bytes -= states[track_id].st_size
                left -= 1
        return gone

    def _states(self) -> dict[str, os.stat_result]:
        """Give the state of each sound that has a sidecar, by id."""
        if not self.folder.is_dir():
            return {}
        with os.scandir(self.folder) as entries:
            found = {entry.name: entry for entry in entries}
        states = {}
        for name, entry in found.items():
            sound = _SOUND.fullmatch(name)
            if sound and f"{sound[1]}.json" in found:
                with contextlib.suppress(OSError):  # another runtime may have just deleted it
                    states[sound[1]] = entry.stat()
        return states

    def _sidecar(self, track_id: str) -> Path:
        return self.folder / f"{track_id}.json"

    def _write_error(self, error: OSError) -> RpcError:
        return RpcError(
            "CACHE_WRITE_ERROR",
            f"cannot write to the track store {self.folder}: {error.strerror or error}",
            hint="free some space, or give another folder with --tracks",
        )


def _to_json(sidecar: dict[str, Any]) -> str:
    return json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n"


def _remove(path: Path) -> None:
    """Remove a leftover; one that cannot be removed must not hide why it is there."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _is_older(path: Path, age_sec: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > age_sec
    except OSError:
        return False


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
