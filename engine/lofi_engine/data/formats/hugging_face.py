"""A Hugging Face dataset with the columns ACE-Step trains on.

`datasets.load_from_disk` opens the folder (both sides) and each side's folder by itself; ACE-Step
takes the path of one side. The columns, as its converter makes them:

keys: string, the track's name. filename: string, where its audio lies. tags: list of string.
speaker_emb_path: string, always "" (with any other its reader fails). norm_lyrics: string.
recaption: struct of strings by the captions' names; "" where a track has none of that name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any

from lofi_engine.data.formats.audio import Report, put_audio
from lofi_engine.data.formats.terms import write_terms
from lofi_engine.data.formats.tracks import Track, by_split
from lofi_engine.errors import StageError

AUDIO = "audio"
_INFO = "dataset_info.json"


def check_installed() -> None:
    """Refuse early where the library that writes datasets is absent.

    Raises:
        StageError: it is; says how to install it.
    """
    if util.find_spec("datasets") is None:
        raise StageError(
            "writing a Hugging Face dataset needs the package 'datasets'",
            hint="pip install 'lofi-recipe[datasets]'",
        )


def rows_of(tracks: Sequence[Track], place: Path) -> list[dict[str, Any]]:
    """Give the rows of one side's tracks.

    Args:
        tracks: of one side.
        place: where the export will lie; file names are absolute, because the reader opens them
            from whatever folder it was started in.
    """
    names = sorted({name for track in tracks for name in track.captions})
    return [
        {
            "keys": track.name,
            "filename": str(place / _audio_name(track)),
            "tags": track.description.prompt.split(", "),
            "speaker_emb_path": "",
            "norm_lyrics": track.description.lyrics.strip(),
            "recaption": {name: track.captions.get(name, "") for name in names},
        }
        for track in tracks
    ]


def write_dataset(folder: Path, place: Path, tracks: Sequence[Track], report: Report) -> None:
    """Write both sides' datasets, the audio and the tracks' terms.

    Args:
        folder: where to write.
        place: where the folder will lie in the end.
        tracks: all of them.
        report: called after every track's audio.
    """
    pairs = [(track, folder / _audio_name(track)) for track in tracks]
    for _track, audio in pairs:
        audio.parent.mkdir(parents=True, exist_ok=True)
    write_terms(folder, tracks)
    put_audio(pairs, report)
    _save({side: rows_of(found, place) for side, found in by_split(tracks).items()}, folder)


def _audio_name(track: Track) -> str:
    return f"{AUDIO}/{track.split}/{track.name}{track.audio.suffix}"


def _save(sides: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    from datasets import Dataset, DatasetDict, load_from_disk

    made = DatasetDict({side: Dataset.from_list(rows) for side, rows in sides.items()})
    with _without_bars():
        made.save_to_disk(folder)
    for side in sides:
        _forget_type_names(folder / side)
    found = load_from_disk(folder)
    counts = {side: len(found[side]) for side in found}
    if counts != {side: len(rows) for side, rows in sides.items()}:
        raise StageError(f"{folder}: the dataset came back as {counts}", hint="export it again")


def _forget_type_names(folder: Path) -> None:
    """Leave the columns' types to Arrow alone.

    The library writes its own names of types twice, and calls a list "List" since its version 4,
    which ACE-Step's (3.4.1) refuses to read. Without names each version reads Arrow's types.
    """
    import pyarrow

    info = folder / _INFO
    said = json.loads(info.read_text(encoding="utf-8"))
    info.write_text(json.dumps({**said, "features": None}, indent=1) + "\n", encoding="utf-8")
    for path in folder.glob("*.arrow"):
        with pyarrow.memory_map(str(path)) as file:
            table = pyarrow.ipc.open_stream(file).read_all().replace_schema_metadata(None)
            aside = path.with_name(f".{path.name}")
            with (
                pyarrow.OSFile(str(aside), "wb") as out,
                pyarrow.ipc.new_stream(out, table.schema) as stream,
            ):
                stream.write_table(table)
        aside.replace(path)


@contextmanager
def _without_bars() -> Iterator[None]:
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
