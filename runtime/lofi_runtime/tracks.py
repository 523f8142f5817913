"""The store that keeps finished tracks.

Each track is its sound, `<id>.wav`, `.flac` or `.mp3`, and the sidecar `<id>.json` that says how to
make it again; where a model made it, its latents, `<id>.latents.npy`, which edits start from. The
sidecar is put in place last: a track without one does not exist. Writers on one store, of several
runtimes too, take turns; readers never wait.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import re
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lofi_runtime.atomic import PART, read_json, replacing
from lofi_runtime.audio_format import FORMATS, WAV_16, AudioFormat
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.store_lock import locked
from lofi_runtime.track import TRACK_ID_DIGITS, Track, TrackSpec
from lofi_runtime.version import VERSION

SIDECAR_FORMAT = 1
SAMPLE_RATE = 48_000
ORPHAN_AGE_SEC = 60
"""A file that lies without the rest of its track for so long has lost its writer between them."""
LATENTS = "latents.npy"

_FILE = re.compile(
    rf"([0-9a-f]{{{TRACK_ID_DIGITS}}})\.({'|'.join(FORMATS)}|{re.escape(LATENTS)}|json)"
)
# A part of a part has its writer last too: `..<id>.wav.<pid>.part.<pid>.part`.
_PART = re.compile(rf"\.+[0-9a-f]{{{TRACK_ID_DIGITS}}}\..*\.([0-9]+){re.escape(PART)}")


class _Entry(NamedTuple):
    """What a whole track's files take, and when its sound was used last."""

    size_bytes: int
    used_ns: int


class TrackStore:
    """Keeps finished tracks in one folder.

    Args:
        folder: made when the first track is written.
        audio_format: of the tracks that are written; those that are there may have any.
    """

    def __init__(self, folder: Path, audio_format: AudioFormat = WAV_16) -> None:
        self.folder = folder.absolute()
        self.audio_format = audio_format
        self._aliases: dict[str, str] = {}
        self._usage: tuple[int, tuple[int, int]] | None = None
        """As it was when the folder had changed last, for whoever asks for the status."""

    def also_known_as(self, told: str, track_id: str) -> None:
        """Let `find(told)` return this track, as long as this store object lives.

        A client may have been told an id before it was known which variant would make the track.
        """
        if told != track_id:
            self._aliases[told] = track_id

    def find(self, track_id: str) -> Track | None:
        """Return a track that is whole, or None; marks it as used just now."""
        track = self._read(track_id) or self._read(self._aliases.get(track_id, track_id))
        if track is not None:
            with contextlib.suppress(OSError):
                os.utime(track.path)
        return track

    def _read(self, track_id: str) -> Track | None:
        try:
            sidecar = read_json(self._sidecar(track_id))
            path = self._sound(track_id, sidecar.get("audio_format", "wav"))
            is_whole = sidecar["size_bytes"] == path.stat().st_size
            is_known = sidecar["format"] == SIDECAR_FORMAT and sidecar["track_id"] == track_id
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # A missing, cut or foreign sidecar: the track is made again.
            return None
        return Track(path, sidecar) if is_whole and is_known else None

    def latents_path(self, track_id: str) -> Path:
        """Return where a track's latents lie, if it has any."""
        return self.folder / f"{track_id}.{LATENTS}"

    def request_for(self, spec: TrackSpec) -> dict[str, Any]:
        """Return what a backend's `Request` takes, with where an edit's source lies here."""
        request = spec.to_request()
        if spec.edit:
            request["edit"]["latents"] = str(self.latents_path(spec.edit["track_id"]))
        return request

    def part_path(self, track_id: str) -> Path:
        """Return where the audio is written before it is kept; the folder is made.

        Raises:
            RpcError: CACHE_WRITE_ERROR, the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(error) from error
        return self.folder / f".{track_id}.audio.{os.getpid()}{PART}"

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
        """Move finished files into the store and write their sidecar: all, or none.

        Args:
            spec: what was made.
            part: the sound, in the store's format; latents lie at its `latents_part` or nowhere.
            duration_sec: of the sound.
            generation_time_sec: what it took.
            warnings: what a listener should know.
            license_name: the model's.

        Raises:
            RpcError: CACHE_WRITE_ERROR, names the folder and why.
        """
        track_id = spec.track_id
        sidecar = {
            "format": SIDECAR_FORMAT,
            "track_id": track_id,
            "spec": asdict(spec),
            "generate": spec.to_params(),
            "duration_sec": duration_sec,
            "sample_rate": SAMPLE_RATE,
            **self.audio_format.to_record(),
            "warnings": warnings,
            "ai_generated": True,
            "license": license_name,
            "made_with": f"lofi-runtime {VERSION}",
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "generation_time_sec": round(generation_time_sec, 3),
        }
        try:
            sidecar["size_bytes"] = part.stat().st_size
            with locked(self.folder):
                self._place(track_id, part, _to_json(sidecar))
        except OSError as error:
            raise self._write_error(error) from error
        return Track(self._sound(track_id, self.audio_format.name), sidecar)

    def _place(self, track_id: str, part: Path, sidecar: str) -> None:
        """Put a track's files in the place of what it had before, whatever format that was."""
        path, latents = self._sound(track_id, self.audio_format.name), latents_part(part)
        try:
            with replacing(self._sidecar(track_id)) as aside:
                # What needs room on the disk comes before the renames.
                aside.write_text(sidecar, encoding="utf-8")
                if latents.exists():
                    latents.replace(self.latents_path(track_id))
                else:
                    _remove(self.latents_path(track_id))
                part.replace(path)
            for other in self._sounds(track_id):
                if other != path:
                    _remove(other)
        except OSError:
            # Once the sound has moved, what the old sidecar says of it is wrong.
            if not part.exists():
                self._remove_all(track_id)
            raise

    def discard(self, part: Path) -> None:
        """Remove what a cancelled or failed generation left, if anything."""
        _remove(part)
        _remove(latents_part(part))
        # A worker that was killed while it wrote had begun a part of the part.
        for half in part.parent.glob(f".{glob.escape(part.name)}.*{PART}"):
            _remove(half)

    def sweep(self) -> None:
        """Remove what killed writers left: parts, and files that are no whole track.

        Only names this store gives are touched; the folder may hold a user's own files. While
        another writer keeps the store for itself, nothing is.
        """
        with contextlib.suppress(OSError), locked(self.folder):
            names = {path.name for path in self.folder.iterdir()}
            for name in names:
                path, part, file = self.folder / name, _PART.fullmatch(name), _FILE.fullmatch(name)
                if part and not _is_running(int(part[1])):
                    _remove(path)
                if file and self._is_lost(file[1], file[2], names) and _is_older(path):
                    _remove(path)

    def _is_lost(self, track_id: str, kind: str, names: set[str]) -> bool:
        """Whether the file of this kind has no track to belong to, by the names in the folder."""
        sounds = [name for name in FORMATS if f"{track_id}.{name}" in names]
        if kind == "json":
            return not sounds
        if f"{track_id}.json" not in names or not sounds:
            return True
        track = self._read(track_id) if len(sounds) > 1 and kind in FORMATS else None
        return track is not None and track.path.suffix != f".{kind}"

    def usage(self) -> tuple[int, int]:
        """Return how many tracks there are and the bytes of their sounds and latents."""
        try:
            changed_ns = self.folder.stat().st_mtime_ns
        except OSError:
            return 0, 0
        if self._usage is None or self._usage[0] != changed_ns:
            entries = self._entries().values()
            self._usage = changed_ns, (len(entries), sum(entry.size_bytes for entry in entries))
        return self._usage[1]

    def used_times(self) -> list[float]:
        """Return when each track was used last, in seconds since 1970."""
        return [entry.used_ns / 1e9 for entry in self._entries().values()]

    def ids(self) -> list[str]:
        """Return the ids of all tracks, the one used last first."""
        entries = self._entries()
        return sorted(entries, key=lambda track_id: (-entries[track_id].used_ns, track_id))

    def tracks(self, limit: int | None = None) -> list[Track]:
        """Return tracks that are whole, the one used last first; none is marked as used.

        Args:
            limit: how many are looked at; None for all.
        """
        found = (self._read(track_id) for track_id in self.ids()[:limit])
        return [track for track in found if track is not None]

    def delete(self, track_id: str) -> int:
        """Delete a track, and give the bytes that frees; 0 where there was none.

        Raises:
            RpcError: CACHE_WRITE_ERROR, another program keeps the store for itself.
        """
        if not self.folder.is_dir():
            return 0
        try:
            with locked(self.folder):
                known = self._aliases.get(track_id, track_id)
                freed = self._remove_all(track_id) or self._remove_all(known)
                if self._sidecar(track_id).exists():
                    raise OSError(errno.EACCES, "the track cannot be removed")
                return freed
        except OSError as error:
            raise self._write_error(error) from error

    def shrink(self, max_bytes: int, max_count: int, keep: str = "") -> list[str]:
        """Delete what was used longest ago until both limits hold; return the ids.

        Args:
            max_bytes: of all sounds and latents together.
            max_count: of tracks.
            keep: the id of a track that stays, however large.

        Raises:
            RpcError: CACHE_WRITE_ERROR, another program keeps the store for itself.
        """
        count, size_bytes = self.usage()
        if size_bytes <= max_bytes and count <= max_count:
            return []
        try:
            with locked(self.folder):
                return self._shrink(max_bytes, max_count, keep)
        except OSError as error:
            raise self._write_error(error) from error

    def _shrink(self, max_bytes: int, max_count: int, keep: str) -> list[str]:
        entries = self._entries()
        left_bytes, left = sum(entry.size_bytes for entry in entries.values()), len(entries)
        gone = []
        for track_id in sorted(entries, key=lambda one: (entries[one].used_ns, one)):
            if left_bytes <= max_bytes and left <= max_count:
                break
            if track_id != keep and self._remove_all(track_id):
                gone.append(track_id)
                left_bytes -= entries[track_id].size_bytes
                left -= 1
        return gone

    def _remove_all(self, track_id: str) -> int:
        """Remove a track's files and give the bytes that frees.

        The sidecar goes first: a track without one does not exist, so no reader finds half of it.
        """
        files = [*self._sounds(track_id), self.latents_path(track_id)]
        sizes = {path: _size_of(path) for path in files}
        for path in (self._sidecar(track_id), *files):
            _remove(path)
        return sum(size for path, size in sizes.items() if size and not path.exists())

    def _entries(self) -> dict[str, _Entry]:
        """Give what each track takes that has both sound and sidecar, by id."""
        found: dict[str, dict[str, os.DirEntry[str]]] = {}
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self.folder) as listed,
        ):
            for one in listed:
                if file := _FILE.fullmatch(one.name):
                    found.setdefault(file[1], {})[file[2]] = one
        entries = {}
        for track_id, kinds in found.items():
            if kinds.pop("json", None) is None:
                continue
            with contextlib.suppress(OSError):  # another runtime may have just deleted it
                states = {kind: one.stat() for kind, one in kinds.items()}
                sounds = [state.st_mtime_ns for kind, state in states.items() if kind in FORMATS]
                if sounds:
                    size_bytes = sum(state.st_size for state in states.values())
                    entries[track_id] = _Entry(size_bytes, max(sounds))
        return entries

    def _sound(self, track_id: str, format_name: str) -> Path:
        if format_name not in FORMATS:
            raise ValueError(f"a sidecar names the audio format {format_name!r}")
        return self.folder / f"{track_id}.{format_name}"

    def _sounds(self, track_id: str) -> list[Path]:
        return [self._sound(track_id, name) for name in FORMATS]

    def _sidecar(self, track_id: str) -> Path:
        return self.folder / f"{track_id}.json"

    def _write_error(self, error: OSError) -> RpcError:
        return RpcError(
            "CACHE_WRITE_ERROR",
            f"cannot write to the track store {self.folder}: {error.strerror or error}",
            hint="free some space, or give another folder with --tracks",
        )


def latents_part(part: Path) -> Path:
    """Return where latents are written before they are kept, beside the sound's `part_path`."""
    name, _, writer = part.name.removesuffix(PART).rpartition(".")
    return part.with_name(f"{name}.latents.{writer}{PART}")


def _to_json(sidecar: dict[str, Any]) -> str:
    return json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n"


def _remove(path: Path) -> None:
    """Remove a leftover; one that cannot be removed must not hide why it is there."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_older(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > ORPHAN_AGE_SEC
    except OSError:
        return False


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":  # there signal 0 is Ctrl-C, and no question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
