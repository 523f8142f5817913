"""Any folder of audio as a set of clips: read one at a time, with what lies beside the sound."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.audio.decode import AUDIO_SUFFIXES, DecodeError, decode
from lofi_engine.audio.quiet import quiet_stderr
from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.clips import Clip, ClipFacts, ContentHash
from lofi_engine.metrics.convert import to_format
from lofi_engine.metrics.side_files import read_facts, read_table
from lofi_runtime.errors import ManyProblemsError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.metrics.protocol import Report

LATENTS = ".latents.npy"


class UnreadableClipsError(ManyProblemsError, MetricError):
    """Files of a folder that cannot be decoded; one line each."""


@dataclass(frozen=True)
class Extent:
    """How a clip is kept and how long it is.

    Args:
        format: its sample rate and channels, as it is read.
        duration_sec: how long it is.
    """

    format: SoundFormat
    duration_sec: float


class ClipFolder:
    """Every audio file below a folder, hidden ones and links to folders left out.

    A clip's name is its place in the folder without the suffix, with forward slashes, so that
    `a/rain.wav` of one folder and `a/rain.flac` of another are a pair. Surround is
    folded to stereo. What `rain.latents.npy` holds are the latents of `rain.wav`; `side_files`
    says where the other facts are read.

    Args:
        path: the folder.
        convert: brings every clip to this format as it is read; None leaves them as they are.

    Raises:
        MetricError: there is no such folder, it cannot be read, no audio is in it, or two files
            would be one clip.
    """

    def __init__(self, path: Path, convert: SoundFormat | None = None) -> None:
        self.path = path
        self.convert = convert
        self._files = _audio_files(path)
        self._facts: dict[str, ClipFacts] = {}
        self._hash = ""

    @property
    def label(self) -> str:
        """The folder as it was given."""
        return _printable(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names, sorted."""
        return tuple(self._files)

    def file(self, name: str) -> Path:
        """Give the audio file of a clip."""
        return self._files[name]

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip without reading its sound.

        Raises:
            MetricError: a file beside it is damaged.
        """
        if name not in self._facts:
            self._facts[name] = read_facts(self._files[name], name, self._table.get(name))
        return self._facts[name]

    def has_latents(self, name: str) -> bool:
        """Whether the latents of a clip lie beside it."""
        return _latents_path(self._files[name]).is_file()

    def clip(self, name: str) -> Clip:
        """Read a clip.

        Raises:
            MetricError: its file or its latents cannot be decoded.
        """
        samples, sample_rate = self._samples(name)
        return Clip(name, samples, sample_rate, self.facts(name), self._latents(name))

    def survey(self, report: Report) -> Mapping[str, Extent]:
        """Decode every file once: what cannot be is found before any metric begins.

        Args:
            report: called after every clip.

        Returns:
            Each clip's format and length, by name.

        Raises:
            UnreadableClipsError: some cannot be decoded; names all of them.
        """
        problems: list[str] = []
        extents: dict[str, Extent] = {}
        content = ContentHash()
        for number, name in enumerate(self.names, 1):
            try:
                samples, sample_rate = self._samples(name)
            except MetricError as error:
                problems.append(str(error))
            else:
                sound_format = SoundFormat(sample_rate, len(samples))
                extents[name] = Extent(sound_format, samples.shape[1] / sample_rate)
                content.add(name, samples, sample_rate)
            report(number, len(self.names), name)
        if problems:
            raise UnreadableClipsError(problems)
        self._hash = content.digits()
        return extents

    def content_hash(self) -> str:
        """Hash names, sample rates and samples, as `ClipsInMemory` does.

        Raises:
            UnreadableClipsError: some cannot be decoded.
        """
        if not self._hash:
            self.survey(lambda _done, _total, _name: None)
        return self._hash

    @cached_property
    def _table(self) -> Mapping[str, Mapping[str, Any]]:
        return read_table(self.path)

    def _samples(self, name: str) -> tuple[npt.NDArray[np.float32], int]:
        from lofi_engine.audio.convert import fold

        path = self._files[name]
        try:
            with quiet_stderr():
                decoded = decode(path)
        except DecodeError as error:
            raise MetricError(
                f"{_printable(path)}: {error}", hint="mend it or move it out of the folder"
            ) from error
        samples = fold(decoded)
        if self.convert is None:
            return samples, decoded.sample_rate
        return to_format(samples, decoded.sample_rate, self.convert), self.convert.sample_rate

    def _latents(self, name: str) -> npt.NDArray[np.float32] | None:
        import numpy as np

        path = _latents_path(self._files[name])
        if not path.is_file():
            return None
        try:
            latents = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise MetricError(
                f"{_printable(path)}: cannot be read as latents", hint="mend it or move it away"
            ) from error
        if latents.ndim != 3 or not np.issubdtype(latents.dtype, np.floating):
            raise MetricError(
                f"{_printable(path)}: holds {latents.dtype} {latents.shape}",
                hint="latents are floating point (channels, height, frames)",
            )
        return np.asarray(latents, np.float32)


def _audio_files(folder: Path) -> dict[str, Path]:
    """Give each clip's file by its name, sorted by name."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not there"
        raise MetricError(f"{_printable(folder)}: {what}", hint="name a folder of audio files")
    found: dict[str, Path] = {}
    for path in _walk(folder):
        name = _printable(path.relative_to(folder).with_suffix(""))
        if name in found:
            raise MetricError(
                f"{_printable(folder)}: {found[name].name} and {path.name} would both be {name}",
                hint="move one of them away",
            )
        found[name] = path
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)
        raise MetricError(f"{_printable(folder)}: no audio is in it", hint=f"audio is {kinds}")
    return dict(sorted(found.items()))


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        place = _printable(Path(error.filename))
        raise MetricError(
            f"{place}: cannot be read: {error.strerror}", hint="make it readable"
        ) from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(root, name)


def _latents_path(path: Path) -> Path:
    return path.with_name(path.stem + LATENTS)


def _printable(path: Path) -> str:
    """Write a path with forward slashes, bytes that are not UTF-8 as backslash escapes."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
