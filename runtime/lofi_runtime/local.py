"""Generates one track in this very process, without a server; the store is the same."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lofi_runtime.backend import Progress, Request
from lofi_runtime.backends import BackendChoice
from lofi_runtime.errors import AudioWriteError
from lofi_runtime.generation import Studio, make_track
from lofi_runtime.library import Library, Source
from lofi_runtime.requests import specify
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.settings import Settings
from lofi_runtime.tracks import Track, TrackSpec, TrackStore


def generate_here(params: Mapping[str, Any], settings: Settings, progress: Progress) -> Track:
    """Return the track, from the store if it was made before.

    Args:
        params: those of the protocol's `generate`.
        settings: tracks, models, bundle, backend and threads count; the rest does not.
        progress: see `backend.Progress`.

    Raises:
        RpcError: a parameter is wrong, or the backend is not installed.
        LofiError: generation or writing failed.
    """
    library = Library(settings.models, settings.bundle, settings.backend)
    spec, source = specify(check_params("generate", params), library)
    store = TrackStore(settings.tracks)
    return store.find(spec.track_id) or _make(spec, source, store, settings.threads, progress)


def check_out(out: Path) -> None:
    """Refuse before the work what `copy_track` could not write after it.

    Raises:
        AudioWriteError: the name does not end in .wav, or its folder is missing.
    """
    if out.suffix.lower() != ".wav":
        raise AudioWriteError(f"--out {out}: only .wav is written", hint="end the name in .wav")
    if not out.absolute().parent.is_dir():
        raise AudioWriteError(f"--out {out}: there is no folder {out.absolute().parent}")


def copy_track(track: Track, out: Path) -> Path:
    """Copy a track to `out` and its sidecar to `<out>.json`; returns `out`, absolute.

    Raises:
        AudioWriteError: the folder is missing or not writable.
    """
    out = out.absolute()
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.copyfile(track.path, part)
        part.replace(out)
        text = json.dumps(track.sidecar, indent=2, ensure_ascii=False) + "\n"
        out.with_name(out.name + ".json").write_text(text, encoding="utf-8")
    except OSError as error:
        part.unlink(missing_ok=True)
        raise AudioWriteError(
            f"cannot write {out}: {error.strerror or error}",
            hint=f"the track itself is {track.path}",
        ) from error
    return out


def _make(
    spec: TrackSpec, source: Source, store: TrackStore, threads: int, progress: Progress
) -> Track:
    began = time.monotonic()
    part = store.part_path(spec.track_id)
    choice = BackendChoice(source.backend, source.folder, source.is_verified, threads)
    try:
        backend = Studio().load(choice, progress)
        request = Request(**spec.to_request())
        made = make_track(backend, request, part, source.license_name, progress)
        return store.keep(
            spec,
            part,
            duration_sec=made.duration_sec,
            generation_time_sec=time.monotonic() - began,
            warnings=list(made.warnings),
            license_name=source.license_name,
        )
    finally:
        store.discard(part)
