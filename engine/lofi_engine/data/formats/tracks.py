"""One track of the finished set as an export sees it: audio, words and terms together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.data.descriptions import Description, read_descriptions
from lofi_engine.data.rows import Row, accepted_rows
from lofi_runtime.atomic import read_json

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Track:
    """A track of one side of the split.

    Args:
        split: "train" or "validation".
        audio: the curated file, .mp3 or .flac.
        description: what is said of it.
        row: where it is from and under which terms.
    """

    split: str
    audio: Path
    description: Description
    row: Row

    @property
    def name(self) -> str:
        """Its name in the dataset: letters, digits, "-" and "_"."""
        return self.row.track

    @property
    def captions(self) -> Mapping[str, str]:
        """Its captions by the reference's names."""
        return self.description.captions


def finished_tracks(curated: Path, described: Path, split: Path) -> tuple[Track, ...]:
    """Read the tracks of a split, training first, each side by name.

    Args:
        curated: the folder of the curate stage's artifact.
        described: of describe's.
        split: of split's.
    """
    rows = {row.track: row for row in accepted_rows(curated)}
    words = {one.track: one for one in read_descriptions(described)}
    sides = read_json(split / "split.json")
    return tuple(
        Track(side, curated / rows[name].file, words[name], rows[name])
        for side in SPLITS
        for name in sorted(sides[side])
    )


def by_split(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """Group tracks by their side; a side without tracks is left out."""
    sides = {side: [track for track in tracks if track.split == side] for side in SPLITS}
    return {side: found for side, found in sides.items() if found}
