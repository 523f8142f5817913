"""Puts tracks' audio into an export: copied, or encoded where another form is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lofi_engine.data.formats.tracks import Track
from lofi_engine.data.prepare import Prepared
from lofi_engine.data.workers import prepare_all
from lofi_engine.errors import StageError

Report = Callable[[int, str], None]
"""`report(done, track)` after every track."""
_AGAIN = "run again with --from curate"


def put_audio(pairs: Sequence[tuple[Track, Path]], report: Report) -> None:
    """Give every track's audio its place; what is there already is kept.

    A copy, not a second name for the same bytes: a tag editor run over the export must not change
    the finished stage.

    Args:
        pairs: tracks and their places; for a place of another suffix a track is encoded, in
            processes of its own.
        report: called after every track.

    Raises:
        StageError: a track's audio is gone or does not decode.
    """
    waiting: list[tuple[Track, Path]] = []
    done = 0
    for track, place in pairs:
        if not track.audio.is_file():
            raise StageError(f"{track.name}: {track.audio} is gone", hint=_AGAIN)
        if not place.is_file() and track.audio.suffix != place.suffix:
            waiting.append((track, place))
            continue
        if not place.is_file():
            aside = _aside(place)
            shutil.copyfile(track.audio, aside)
            aside.replace(place)
        done += 1
        report(done, track.name)
    jobs = [(track.audio, place) for track, place in waiting]
    for number, result in prepare_all(jobs, encode):
        track = waiting[number][0]
        if result.reasons:
            why = "; ".join(result.reasons)
            raise StageError(f"{track.name}: {track.audio}: {why}", hint=_AGAIN)
        done += 1
        report(done, track.name)


def encode(audio: Path, place: Path) -> Prepared:
    """Write a curated track in the form of `place`'s suffix; refused where it does not decode."""
    from lofi_engine.audio.decode import DecodeError, decode
    from lofi_engine.audio.write import write_track

    try:
        samples = decode(audio).samples
    except DecodeError as error:
        return Prepared(reasons=(str(error),))
    aside = _aside(place)
    write_track(aside, samples)
    aside.replace(place)
    return Prepared()


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}")
