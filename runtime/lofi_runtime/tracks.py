"""Tracks: what one is made of, its id, and the store that keeps finished ones.

Each track is two files, `<id>.wav` and the sidecar `<id>.json` that says how to make it again. The
sidecar is written last: a track without one does not exist.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.version import VERSION

SIDECAR_FORMAT = 1
TRACK_ID_DIGITS = 16
SAMPLE_RATE = 48_000


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
        model_version: of what generates.
        precision: the variant used; "" where the backend has none.
        inference_steps: None, like the two below, where the backend does not denoise.
        scheduler: "euler", "heun" or "pingpong".
        guidance_scale: 1 to 30.
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
        made_here = {"model_version", "style_tags", "precision"}
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
        path = self.folder / f"{track_id}.wav"
        try:
            sidecar = json.loads((self.folder / f"{track_id}.json").read_text(encoding="utf-8"))
            is_whole = sidecar["size_bytes"] == path.stat().st_size
            is_known = sidecar["format"] == SIDECAR_FORMAT and sidecar["track_id"] == track_id
            if not (is_whole and is_known):
                return None
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError):
            # A missing, cut or foreign sidecar: the track is made again.
            return None
        return Track(path, sidecar)

    def part_path(self, track_id: str) -> Path:
        """Return where the audio is written before it is kept; the folder is made.

        Raises:
            RpcError: CACHE_WRITE_ERROR, the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(error) from error
        return self.folder / f".{track_id}.{os.getpid()}.part.wav"

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
        """Move a finished file into the store and write its sidecar.

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
            part.replace(path)
            write_json(self.folder / f"{track_id}.json", sidecar)
        except OSError as error:
            raise self._write_error(error) from error
        return Track(path, sidecar)

    def discard(self, part: Path) -> None:
        """Remove what a cancelled or failed generation left, if anything."""
        part.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove parts whose writer no longer runs."""
        for part in self.folder.glob(".*.part*"):
            # Also the part file of the part file, which write_audio names after it.
            writer = part.name.lstrip(".").partition(".")[2].partition(".")[0]
            if writer.isdigit() and not _is_running(int(writer)):
                part.unlink(missing_ok=True)

    def usage(self) -> tuple[int, int]:
        """Return how many tracks there are and their audio's bytes."""
        if not self.folder.is_dir():
            return 0, 0
        with os.scandir(self.folder) as entries:
            sizes = [entry.stat().st_size for entry in entries if _is_track(entry.name)]
        return len(sizes), sum(sizes)

    def _write_error(self, error: OSError) -> RpcError:
        return RpcError(
            "CACHE_WRITE_ERROR",
            f"cannot write to the track store {self.folder}: {error.strerror or error}",
            hint="free some space, or give another folder with --tracks",
        )


def _is_track(name: str) -> bool:
    return name.endswith(".wav") and not name.startswith(".")


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(path)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
