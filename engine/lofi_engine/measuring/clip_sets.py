"""The sets of clips a recipe's gates hold against each other: rendered ones, and the tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.audio.decode import DecodeError, decode
from lofi_engine.data.rows import Row, accepted_rows
from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, hash_clips
from lofi_engine.metrics.side_files import TABLE_NAME
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HELD_OUT, TRAINING = "validation", "train"
KEPT = 2
"""Clips of each bundle that stay, to listen to; each minute of them is 6 to 9 MB."""


class RenderedClips:
    """Clips of one bundle, kept as float32 in a folder: fifty of them are half a gigabyte.

    Args:
        label: the variant, or "float32".
        folder: for the clips; made if it is not there.
    """

    def __init__(self, label: str, folder: Path) -> None:
        self._label = label
        self._folder = folder
        self._facts: dict[str, ClipFacts] = {}
        self._hash = ""

    def add(self, name: str, samples: npt.NDArray[np.float32], facts: ClipFacts) -> None:
        """Keep a clip of (channels, samples) at the runtime's sample rate."""
        import numpy as np

        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(self._file(name), samples, allow_pickle=False)
        self._facts[name] = facts
        self._hash = ""

    @property
    def label(self) -> str:
        """The variant, or "float32"."""
        return self._label

    @property
    def names(self) -> tuple[str, ...]:
        """The clips' names, sorted."""
        return tuple(sorted(self._facts))

    def facts(self, name: str) -> ClipFacts:
        """Give a clip's prompt, style and seed."""
        return self._facts[name]

    def clip(self, name: str) -> Clip:
        """Read a clip."""
        import numpy as np

        from lofi_runtime.backend import SAMPLE_RATE

        samples = np.load(self._file(name), allow_pickle=False)
        return Clip(name, samples, SAMPLE_RATE, self._facts[name])

    def content_hash(self) -> str:
        """Hash names, sample rates and samples."""
        self._hash = self._hash or hash_clips(self)
        return self._hash

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npy"


@dataclass(frozen=True)
class Tracks:
    """Curated tracks as a set of clips, decoded one at a time.

    Args:
        label: what the tracks are, for messages.
        side: of the split they are on, `HELD_OUT` or `TRAINING`.
        curated: the folder of the curate stage's artifact.
        rows: of its ledger, by track.
    """

    label: str
    side: str
    curated: Path
    rows: Mapping[str, Row]

    @property
    def names(self) -> tuple[str, ...]:
        """The tracks' names, sorted."""
        return tuple(sorted(self.rows))

    @property
    def durations_sec(self) -> Sequence[float]:
        """How long each track is, by name."""
        return [self.rows[name].duration_sec for name in self.names]

    def facts(self, name: str) -> ClipFacts:
        """Give a track's main style."""
        styles = self.rows[name].style_ids
        return ClipFacts(style=styles[0] if styles else "")

    def clip(self, name: str) -> Clip:
        """Decode a track.

        Raises:
            MetricError: it cannot be decoded.
        """
        file = self.rows[name].file
        try:
            decoded = decode(self.curated / file)
        except DecodeError as error:
            raise MetricError(
                f"{self.label}: {name}: {file}: {error}", hint="run again with --from curate"
            ) from error
        return Clip(name, decoded.samples, decoded.sample_rate, self.facts(name))

    def content_hash(self) -> str:
        """Hash names, sample rates and samples; every track is decoded once for it."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        return hash_clips(self)


def reference_tracks(curated: Path, split: Path) -> Tracks:
    """Give the tracks that nothing was trained on; the training tracks where there are none.

    Args:
        curated: the folder of the curate stage's artifact.
        split: of split's.
    """
    sides = read_json(split / "split.json")
    side = HELD_OUT if sides[HELD_OUT] else TRAINING
    wanted = set(sides[side])
    rows = {row.track: row for row in accepted_rows(curated) if row.track in wanted}
    label = "the held-out tracks" if side == HELD_OUT else "the training tracks"
    return Tracks(label, side, curated, rows)


def keep_some(clips: RenderedClips, folder: Path) -> None:
    """Write the first clips as tagged FLAC, with their facts in a `clips.json` beside them."""
    from lofi_runtime.audio_file import generated_tags, write_audio

    folder.mkdir(parents=True)
    names = clips.names[:KEPT]
    for name in names:
        tags = generated_tags(
            model=clips.label, license="unpublished", title=clips.facts(name).prompt
        )
        write_audio(folder / f"{name}.flac", clips.clip(name).samples, format="flac", tags=tags)
    facts = {name: clips.facts(name) for name in names}
    table = {
        name: {"prompt": one.prompt, "style": one.style, "seed": one.seed}
        for name, one in facts.items()
    }
    write_json(folder / TABLE_NAME, table)
