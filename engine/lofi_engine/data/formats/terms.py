"""The terms an exported set carries: a page for people and the same for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from lofi_engine.data.formats.tracks import Track
from lofi_engine.markdown import plain
from lofi_runtime.atomic import write_json, write_text

LICENSES_NAME = "LICENSES.md"
ATTRIBUTIONS_NAME = "attributions.json"
_NOT_SAID = "not said"


def write_terms(folder: Path, tracks: Sequence[Track]) -> None:
    """Write `LICENSES.md` and `attributions.json` into an export's folder."""
    write_text(folder / LICENSES_NAME, "\n".join(_page(tracks)) + "\n")
    entries = [
        {
            "track": track.name,
            "split": track.split,
            "license": track.row.license,
            "type": track.row.type,
            "ai_training": track.row.ai_training,
            "artist": track.row.artist,
            "attribution": track.row.attribution,
        }
        for track in tracks
    ]
    write_json(folder / ATTRIBUTIONS_NAME, {"version": 1, "tracks": entries})


def _page(tracks: Sequence[Track]) -> Iterator[str]:
    counted = Counter(track.row.license or _NOT_SAID for track in tracks)
    yield "# Licences of these tracks"
    yield ""
    yield "Every track keeps the terms its owner gave; they go with it wherever this folder goes."
    yield "The right to train a model on a track does not always include passing the track on."
    yield ""
    yield "| licence | tracks |"
    yield "|---|---|"
    for license_name, number in sorted(counted.items()):
        yield f"| {plain(license_name)} | {number} |"
    credits = sorted({track.row.attribution for track in tracks if track.row.attribution})
    if credits:
        yield ""
        yield "## Credits"
        yield ""
        yield from (f"- {plain(line)}" for line in credits)
    yield ""
    yield "## By track"
    yield ""
    yield "| track | licence | acquired | training allowed | artist | credit |"
    yield "|---|---|---|---|---|---|"
    for track in tracks:
        row = track.row
        cells = (
            f"{track.split}/{track.name}",
            row.license or _NOT_SAID,
            row.type or _NOT_SAID,
            "yes" if row.ai_training else _NOT_SAID,
            row.artist,
            row.attribution,
        )
        yield f"| {' | '.join(map(plain, cells))} |"
