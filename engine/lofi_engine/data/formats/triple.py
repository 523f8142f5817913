"""ACE-Step's training triple: `{name}.mp3`, `{name}_prompt.txt`, `{name}_lyrics.txt`.

Its converter finds `*.mp3` in one folder and passes over a track whose texts are not beside it,
without a word; so each side of the split is a folder of its own, and FLAC is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lofi_engine.data.formats.audio import Report, put_audio
from lofi_engine.data.formats.terms import write_terms
from lofi_engine.data.formats.tracks import Track
from lofi_engine.errors import StageError

SUFFIX = ".mp3"


def check_place(place: Path) -> None:
    """Refuse a place whose tracks the converter could not read.

    Raises:
        StageError: ".mp3" is part of the path: the converter makes the texts' names by replacing
            it wherever it stands, and would find none of them.
    """
    if SUFFIX in str(place):
        raise StageError(
            f"{place}: ACE-Step finds no texts below a path with '{SUFFIX}' in it",
            hint="name another folder with --out",
        )


def write_triple(folder: Path, tracks: Sequence[Track], report: Report) -> None:
    """Write `train/` and `validation/` with a triple for every track, and the tracks' terms."""
    pairs = []
    for track in tracks:
        place = folder / track.split / f"{track.name}{SUFFIX}"
        place.parent.mkdir(exist_ok=True)
        texts = {"prompt": track.description.prompt, "lyrics": track.description.lyrics}
        for kind, text in texts.items():
            beside = place.with_name(f"{track.name}_{kind}.txt")
            beside.write_text(text, encoding="utf-8", newline="\n")
        pairs.append((track, place))
    write_terms(folder, tracks)
    put_audio(pairs, report)
