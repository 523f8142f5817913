"""Sounds kept by what made them, so that a measurement that was stopped goes on where it was.

sounds/<16 hexadecimal digits>.flac   16 bits, 48 kHz
sounds/<16 hexadecimal digits>.json   what made it, and what its master warned of
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_value
from lofi_engine.metrics.clips import Clip, ClipFacts, ContentHash
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    from lofi_runtime.backend import Audio

FOLDER = "sounds"
_LICENSE = "unpublished"
_DIGITS = 16


@dataclass(frozen=True)
class Kept:
    """One sound of a shelf.

    Args:
        path: its FLAC.
        warnings: what its master said of it, such as "mostly silent".
    """

    path: Path
    warnings: tuple[str, ...]


class Shelf:
    """A folder of sounds.

    Args:
        folder: `FOLDER` in it is made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def keep(self, made_by: Mapping[str, Any], make: Callable[[], Audio]) -> Kept:
        """Give the sound that was made so before, or make it.

        Args:
            made_by: JSON values, everything the sound depends on.
            make: makes it.

        Raises:
            AudioWriteError: the disk is full, or the sound has values that are not numbers.
            OSError: the folder cannot be written.
        """
        from lofi_runtime.audio_file import generated_tags, write_audio
        from lofi_runtime.faults import faults

        place = self._folder / f"{hash_value(dict(made_by))[:_DIGITS]}.flac"
        facts = place.with_suffix(".json")
        if place.is_file() and facts.is_file():
            return Kept(place, tuple(read_json(facts)["warnings"]))
        self._folder.mkdir(parents=True, exist_ok=True)
        audio = make()
        tags = generated_tags(model=str(made_by["network"]), license=_LICENSE)
        write_audio(place, audio.samples, format="flac", tags=tags)
        warnings = audio.warnings + faults(audio.samples)
        write_json(facts, {"made_by": dict(made_by), "warnings": list(warnings)})
        return Kept(place, warnings)


class KeptClips:
    """Kept sounds as a set that metrics take; one is read at a time.

    Args:
        label: how tables and errors call it.
        kept: by name.
        facts: of each, by name; nothing is known of the others.
    """

    def __init__(
        self, label: str, kept: Mapping[str, Kept], facts: Mapping[str, ClipFacts] | None = None
    ) -> None:
        self._label = label
        self._kept = dict(kept)
        self._facts = dict(facts or {})

    @property
    def label(self) -> str:
        """How tables and errors call the set."""
        return self._label

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names, sorted."""
        return tuple(sorted(self._kept))

    def facts(self, name: str) -> ClipFacts:
        """Give what is known of a clip."""
        return self._facts.get(name, ClipFacts())

    def warnings(self, name: str) -> tuple[str, ...]:
        """Give what a clip's master warned of."""
        return self._kept[name].warnings

    def clip(self, name: str) -> Clip:
        """Read a clip.

        Raises:
            StageError: its file is gone or damaged.
        """
        import soundfile

        path = self._kept[name].path
        try:
            samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise StageError(
                f"{path}: cannot be read: {error}", hint=f"remove the folder {path.parent}"
            ) from error
        return Clip(name, samples.T, sample_rate, self.facts(name))

    def some(self, label: str, names: tuple[str, ...]) -> KeptClips:
        """Give a set of some of the clips."""
        return KeptClips(label, {name: self._kept[name] for name in names}, self._facts)

    def content_hash(self) -> str:
        """Hash what made the clips, which their files are named after, and their names."""
        import numpy as np

        found = ContentHash()
        for name in self.names:
            found.add(f"{name}/{self._kept[name].path.stem}", np.zeros((1, 0), np.float32), 0)
        return found.digits()
