"""Walks a folder of tracks: every file, sorted, links told apart, sidecars with their tracks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lofi_engine.audio.decode import AUDIO_SUFFIXES
from lofi_engine.errors import StageError

SIDECARS = ("prompt", "lyrics")
"""`<stem>_prompt.txt` and `<stem>_lyrics.txt` beside `<stem>.wav` are taken with the track."""

MAX_SIDECAR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Found:
    """A file of the folder.

    Args:
        path: where it is.
        relative: its place in the folder, with forward slashes, printable.
        refusal: why it cannot be a track, "" where it may be.
        sidecars: the texts beside it, by kind ("prompt", "lyrics").
    """

    path: Path
    relative: str
    refusal: str
    sidecars: tuple[tuple[str, str], ...] = ()


def walk(folder: Path, label: str, ignored: frozenset[Path] = frozenset()) -> tuple[Found, ...]:
    """List every file of a folder and its subfolders, sorted by path.

    Links to files are followed, links to folders are not (and listed as refused, as is a subfolder
    that cannot be read). Hidden files and folders, the `ignored` ones, sidecars of tracks and the
    records that `lofi-runtime generate` writes beside them (`rain.wav.json`) are left out.

    Args:
        folder: where to look.
        label: the folder as the recipe writes it, for messages.
        ignored: resolved paths to leave out, such as the ledger.

    Raises:
        StageError: the folder is not there or cannot be read.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "is not there"
        raise StageError(
            f"dataset.sources: the folder '{label}' {what}",
            hint="put the tracks there or mend the path in the recipe",
        )
    listed, unreadable = _files(folder, label)
    # realpath, not resolve: a link to itself is refused by name below.
    paths = [path for path in listed if Path(os.path.realpath(path)) not in ignored]
    texts = {path for path in paths if _sidecar_stem(path) is not None}
    audio = {path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES}
    audio_stems = {path.with_suffix("") for path in audio}
    return tuple(
        _found(path, folder, texts, unreadable.get(path, ""))
        for path in paths
        if (path not in texts or _sidecar_stem(path) not in audio_stems)
        and not (path.suffix == ".json" and path.with_suffix("") in audio)
    )


def printable(path: Path | PurePosixPath) -> str:
    """Write a path with forward slashes, bytes that are not UTF-8 as backslash escapes."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def one_line(name: str) -> str:
    """Write line breaks and other control characters of a name as escapes, for messages."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)


def _files(folder: Path, label: str) -> tuple[list[Path], dict[Path, str]]:
    """Give every path, sorted, and of each subfolder that cannot be read, why."""
    unreadable: dict[Path, str] = {}

    def note(error: OSError) -> None:
        place = Path(error.filename)
        if place == folder:
            raise StageError(
                f"dataset.sources: '{label}' cannot be read: {error.strerror}",
                hint="make it readable or move it away",
            ) from error
        unreadable[place] = f"a folder that cannot be read: {error.strerror}"

    listed: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=note):
        links = [name for name in folders if os.path.islink(Path(root, name))]  # noqa: PTH114
        folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
        listed += [Path(root, name) for name in (*files, *links) if not name.startswith(".")]
    ordered = sorted([*listed, *unreadable], key=lambda path: path.relative_to(folder).as_posix())
    return ordered, unreadable


def _found(path: Path, folder: Path, texts: set[Path], refusal: str) -> Found:
    sidecars: list[tuple[str, str]] = []
    refusal = refusal or _refusal(path)
    for kind in () if refusal else SIDECARS:
        beside = path.with_name(f"{path.stem}_{kind}.txt")
        if beside in texts:
            try:
                sidecars.append((kind, _text(beside)))
            except ValueError as error:
                refusal = f"its {printable(Path(beside.name))} {error}"
    return Found(path, printable(path.relative_to(folder)), refusal, tuple(sidecars))


def _refusal(path: Path) -> str:
    # os.path, not pathlib: it answers False where a folder may be listed but not entered.
    if os.path.islink(path) and os.path.isdir(path):  # noqa: PTH112, PTH114
        return "a link to a folder, which is not followed"
    if _sidecar_stem(path) is not None:
        return "a sidecar without its track"
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        kinds = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)
        return f"not an audio file by its name (audio is {kinds})"
    return ""


def _sidecar_stem(path: Path) -> Path | None:
    for kind in SIDECARS:
        ending = f"_{kind}.txt"
        if path.name.endswith(ending) and len(path.name) > len(ending):
            return path.with_name(path.name.removesuffix(ending))
    return None


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_SIDECAR_BYTES:
            raise ValueError(f"is {size} bytes, at most {MAX_SIDECAR_BYTES} are read")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
