"""Generates one track in this very process, without a server; the store is the same."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lofi_runtime.atomic import replacing, write_json
from lofi_runtime.audio_format import FORMATS, AudioFormat, format_of
from lofi_runtime.backend import Backend, Progress, Request
from lofi_runtime.choosing import AUTO
from lofi_runtime.errors import AudioWriteError, BackendError, BundleError
from lofi_runtime.fallback import Fallback
from lofi_runtime.generation import make_track
from lofi_runtime.library import Library
from lofi_runtime.requests import specify
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.settings import Settings
from lofi_runtime.sources import BackendChoice, Source
from lofi_runtime.studio import Studio
from lofi_runtime.track import Track, TrackSpec
from lofi_runtime.tracks import TrackStore


def generate_to(
    params: Mapping[str, Any], settings: Settings, out: Path | None, *, say: Callable[[str], None]
) -> Path:
    """Generate a track as a command line does: progress on stderr, warnings said, a copy at `out`.

    Args:
        params: those of the protocol's `generate`; None counts as left out.
        settings: see `generate_here`.
        out: where to copy the sound, its sidecar beside it, in the format its name ends in; None:
            it stays in the store alone. Looked at before any work.
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
        settings = replace(settings, audio_format=check_out(out))
    wanted = settings.audio
    given = {name: value for name, value in params.items() if value is not None}
    with shown_progress(sys.stderr) as progress:
        track = generate_here(given, settings, progress)
    for warning in track.sidecar["warnings"]:
        say(warning)
    if track.audio_format != wanted and (out is not None or settings.audio_bits is not None):
        say(f"the store has this track as {track.audio_format.describe()}: this is made of it")
    return track.path if out is None else copy_track(track, out, wanted)


def generate_here(params: Mapping[str, Any], settings: Settings, progress: Progress) -> Track:
    """Return the track, from the store if it was made before.

    Args:
        params: those of the protocol's `generate`.
        settings: tracks, models, bundle, preferences and threads count; the rest does not.
        progress: see `backend.Progress`.

    Raises:
        RpcError: a parameter is wrong, or the backend is not installed.
        LofiError: generation or writing failed.
    """
    library = Library(settings.models, settings.bundle, settings.preferences)
    store = TrackStore(settings.tracks, settings.audio)
    asked = check_params("generate", params)
    spec, source = specify(asked, library, store)
    fallback = Fallback(library)
    while (track := store.find(spec.track_id)) is None:
        choice = BackendChoice.of(source, settings.threads, settings.device)
        try:
            backend = Studio().load(choice, progress)
        except (BackendError, BundleError) as error:
            if asked["precision"] != AUTO or source.folder is None:
                raise
            spec, source = fallback.after(spec, source, str(error))
        else:
            return _make(spec, source, store, backend, progress)
    return track


def check_out(out: Path) -> str:
    """Refuse before the work what `copy_track` could not write after it.

    Returns:
        The audio format that the name asks for.

    Raises:
        AudioWriteError: the name ends in no format's name or is a folder's, or its folder is
            missing or not writable.
    """
    folder = out.absolute().parent
    wanted = format_of(out)
    if wanted is None:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise AudioWriteError(f"--out {out}: the name must end in one of {known}")
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
    return wanted


def copy_track(track: Track, out: Path, wanted: AudioFormat) -> Path:
    """Copy a track to `out` and its sidecar to `<out>.json`; returns `out`, absolute.

    Args:
        track: from the store; where it has another form there, `out` is made of that.
        out: where to.
        wanted: the form of `out`.

    Raises:
        AudioWriteError: the folder is missing or not writable.
    """
    from lofi_runtime.audio_file import convert_audio

    out = out.absolute()
    sidecar = track.sidecar
    try:
        if track.audio_format == wanted:
            with replacing(out) as aside:
                shutil.copyfile(track.path, aside)
        else:
            convert_audio(track.path, out, wanted)
            sidecar = {name: value for name, value in sidecar.items() if name != "audio_bits"}
            sidecar |= {**wanted.to_record(), "size_bytes": out.stat().st_size}
        write_json(out.with_name(out.name + ".json"), sidecar)
    except OSError as error:
        raise AudioWriteError(
            f"cannot write {out}: {error.strerror or error}",
            hint=f"the track itself is {track.path}",
        ) from error
    return out


def _make(
    spec: TrackSpec, source: Source, store: TrackStore, backend: Backend, progress: Progress
) -> Track:
    began = time.monotonic()
    store.sweep()
    part = store.part_path(spec.track_id)
    try:
        request = Request(**store.request_for(spec))
        form = store.audio_format
        made = make_track(backend, request, part, source.license_name, progress, form)
        return store.keep(
            spec,
            part,
            duration_sec=made.duration_sec,
            generation_time_sec=time.monotonic() - began,
            warnings=[*source.notes, *made.warnings],
            license_name=source.license_name,
        )
    finally:
        store.discard(part)
