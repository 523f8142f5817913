"""`lofi-recipe data export`: the finished training set in a form other trainers read."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lofi_engine.cli.options import Overrides, RecipePath

if TYPE_CHECKING:
    from lofi_engine.artifact import Artifact
    from lofi_engine.data.formats.tracks import Track
    from lofi_engine.events import EventSink

STAGES_READ = ("curate", "describe", "split")
VERSION = 1
"""Goes up when an export of the same tracks is written otherwise."""
READ_PROMPT_LENGTH = 256


class ExportFormat(enum.StrEnum):
    """What an export looks like."""

    TRIPLE = "triple"
    DATASETS = "datasets"


def data_export(
    path: RecipePath,
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="triple: ACE-Step's NAME.mp3, NAME_prompt.txt and NAME_lyrics.txt; datasets: "
            "a Hugging Face dataset with its columns.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where to; made if it is not there.")
    ],
    overrides: Overrides = None,
) -> int:
    """Export the curated, described and split tracks, with the licences they come under.

    Training and validation tracks go to folders of their own. A folder that no export made, or
    that was changed since, is left alone; an interrupted export is continued by the next.
    """
    import sys

    from lofi_engine.data.formats import hugging_face, triple
    from lofi_engine.data.formats.folder import fill_folder
    from lofi_engine.data.formats.tracks import finished_tracks
    from lofi_engine.events import Event

    place = out.resolve()
    if form is ExportFormat.TRIPLE:
        triple.check_place(place)
    else:
        hugging_face.check_installed()
    artifacts = _finished(path, overrides or ())
    tracks = finished_tracks(*(artifact.folder for artifact in artifacts))
    made_of = {
        "format": form.value,
        "format_version": VERSION,
        **{artifact.stage: artifact.content_hash for artifact in artifacts},
    }
    with _progress() as sink:

        def report(done: int, name: str) -> None:
            sink(Event("export", done, len(tracks), "tracks", name))

        def write(folder: Path) -> None:
            if form is ExportFormat.TRIPLE:
                triple.write_triple(folder, tracks, report)
            else:
                hugging_face.write_dataset(folder, place, tracks, report)

        if form is ExportFormat.DATASETS:
            made_of["place"] = str(place)  # its file names are absolute
        written = fill_folder(place, made_of, write)
    for line in _result(form, place, tracks, written):
        sys.stdout.write(line + "\n")
    return 0


def _finished(path: Path, overrides: Sequence[str]) -> list[Artifact]:
    """Give the artifacts of the stages an export reads.

    Raises:
        StageError: one of them must run first; says which and why.
    """
    from lofi_engine.errors import StageError
    from lofi_engine.recipe.load import load_recipe
    from lofi_engine.run import plan_states
    from lofi_engine.stages.registry import STAGES

    states = {
        state.stage.name: state for state in plan_states(load_recipe(path, overrides), STAGES)
    }
    artifacts = []
    for name in STAGES_READ:
        artifact = states[name].artifact
        if artifact is None:
            only = " ".join(f"--only {stage}" for stage in STAGES_READ)
            raise StageError(
                f"{path}: {name} is not finished ({states[name].reason})",
                hint=f"run it first: lofi-recipe run {path} {only}",
            )
        artifacts.append(artifact)
    return artifacts


def _result(
    form: ExportFormat, place: Path, tracks: Sequence[Track], written: bool
) -> Iterator[str]:
    from lofi_engine.data.formats.tracks import by_split

    sides = " and ".join(f"{len(found)} {side}" for side, found in by_split(tracks).items())
    yield f"{place}: {sides} tracks {'exported' if written else 'are there already'}"
    long = [track for track in tracks if len(track.description.prompt) > READ_PROMPT_LENGTH]
    if long:
        yield (
            f"{len(long)} prompts are longer than {READ_PROMPT_LENGTH} characters, the first is "
            f"{long[0].name}: ACE-Step's trainer shuffles the tags and cuts the rest off"
        )
    if form is ExportFormat.TRIPLE:
        yield f"next, in ACE-Step: python convert2hf_dataset.py --data_dir {place / 'train'}"
    else:
        yield f"next, in ACE-Step: python trainer.py --dataset_path {place / 'train'}"


@contextmanager
def _progress() -> Iterator[EventSink]:
    import sys

    from lofi_engine.cli.terminal import LiveLines, PlainLines

    if sys.stderr.isatty():
        with LiveLines() as live:
            yield live
    else:
        yield PlainLines(sys.stderr)
