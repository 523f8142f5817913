"""Generates one track in this very process, without a server; the store is the same."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lofi_runtime.atomic import replacing, write_json
from lofi_runtime.backend import Progress, Request
from lofi_runtime.backends import BackendChoice
from lofi_runtime.errors import AudioWriteError
from lofi_runtime.generation import Studio, make_track
from lofi_runtime.library import Library, Source
from lofi_runtime.requests import specify
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.settings import Settings
from lofi_runtime.tracks import Track, TrackSpec, TrackStore


def generate_to(
    params: Mapping[str, Any], settings: Settings, out: Path | None, *, say: Callable[[str], None]
) -> Path:
    """Generate a track as a command line does: progress on stderr, warnings said, a copy at `out`.

    Args:
        params: those of the protocol's `generate`; None counts as left out.
        settings: see `generate_here`.
        out: where to copy the WAV, its sidecar beside it; None: it stays in the store alone. Looked
            at before any work.
        say: takes each warning, one line without the program's name.

    Returns:
        The file's absolute path: `out`, or the one in the store.

    Raises:
        AudioWriteError: `out` cannot be written.
        RpcError: a parameter is wrong, or the backend is not installed.
        LofiError: generation or writing failed.
    """
    from lofi_runtime.meter import shown_progress

    if out is not None:
        check_out(out)
    given = {name: value for name, value in params.items() if value is not None}
    with shown_progress(sys.stderr) as progress:
        track = generate_here(given, settings, progress)
    for warning in track.sidecar["warnings"]:
        say(warning)
    return track.path if out is None else copy_track(track, out)


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
        AudioWriteError: the name does not end in .wav or is a folder's, or its folder is missing or
            not writable.
    """
    folder = out.absolute().parent
    if out.suffix.lower() != ".wav":
        raise AudioWriteError(f"--out {out}: only .wav is written", hint="end the name in .wav")
    if not folder.is_dir():
        raise AudioWriteError(f"--out {out}: there is no folder {folder}")
    if out.is_dir():
        raise AudioWriteError(f"--out {out}: this is a folder", hint="name a file in it")
    # A try says what permission bits do not, to root or on a disk that is read-only.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise AudioWriteError(
            f"--out {out}: the folder {folder} is not writable ({error.strerror or error})"
        ) from error


def copy_track(track: Track, out: Path) -> Path:
    """Copy a track to `out` and its sidecar to `<out>.json`; returns `out`, absolute.

    Raises:
        AudioWriteError: the folder is missing or not writable.
    """
    out = out.absolute()
    try:
        with replacing(out) as aside:
            shutil.copyfile(track.path, aside)
        write_json(out.with_name(out.name + ".json"), track.sidecar)
    except OSError as error:
        raise AudioWriteError(
            f"cannot write {out}: {error.strerror or error}",
            hint=f"the track itself is {track.path}",
        ) from error
    return out


def _make(
    spec: TrackSpec, source: Source, store: TrackStore, threads: int, progress: Progress
) -> Track:
    began = time.monotonic()
    store.sweep()
    part = store.part_path(spec.track_id)
    choice = BackendChoice(
        source.backend, source.folder, source.is_verified, threads, source.model_identity
    )
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
